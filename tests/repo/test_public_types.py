"""Lint: every type of ours that a public signature or docstring shows can be imported from ``lash_redis``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lash_redis
from lash_redis.core import errors

# What programs neither make nor ask for: parts of a worker, and what its supervisor hands to it and takes from it.
PARTS = {
    "Declaration.__init__",
    "Declaration.limits",
    "Declaration.signature",
    "ProcessRegistry.address",
    "ProcessRegistry.encoded",
    "ProcessRegistry.memory",
    "SweepReport.count",
    "Worker.__init__ renewal",
    "Worker.probe",
    "Worker.unsent",
}
# Made by ``Lash``, never by programs.
HANDLES = {"Process", "BlockingProcess", "Task", "BlockingTask", "BlockingLash", "Schedules", "BlockingSchedules"}
HANDLES |= {"Group", "BlockingGroup"}
# How a field is checked and stored: beside its type, or in a base without a field.
BESIDE = {
    "BlockingGroupControls", "GroupControls",
    "BlockingManyControls", "BlockingQueueControls", "BlockingSeveralControls",
    "Check", "CheckedStruct", "ChosenLimits", "LimitControls", "SeveralControls",
    "ManyControls", "Option", "QueueControls", "ScheduleControls", "Setting",
}  # fmt: skip

EXPORTED = set(lash_redis.__all__)


def classes_of_ours() -> set[str]:
    """Return the names of all classes of the package."""
    modules = [module.name for module in pkgutil.walk_packages(lash_redis.__path__, "lash_redis.")]
    return {
        name
        for module in modules
        if not module.endswith("__main__")
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and value.__module__ == module
    }


def for_programs() -> set[str]:
    """Return the operations of the registry that its docstring names as those for programs."""
    text = inspect.getdoc(lash_redis.ProcessRegistry) or ""
    (sentence,) = re.findall(r"^Programs call (.*?)\.\s", text, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"``(\w+)``", sentence))


def functions(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield what programs call or read of an exported class: name and function."""
    names = {name for base in kind.__mro__ if base.__module__.startswith("lash_redis") for name in vars(base)}
    for name in sorted(names):
        if not name.startswith("_") or (name == "__init__" and kind.__name__ not in HANDLES):
            value = inspect.getattr_static(kind, name)
            found = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            is_operation = kind is lash_redis.ProcessRegistry and hasattr(found, "__signature__")
            if inspect.isfunction(found) and (not is_operation or name in for_programs()):
                yield name, found


def shown_by(name: str) -> Iterator[tuple[str, set[str]]]:
    """Yield where an exported name shows types, and the words that stand there."""
    exported = getattr(lash_redis, name)
    yield f"the docstring of {name}", quoted(exported)
    if inspect.isfunction(exported):
        yield from of_function(name, exported)
    elif inspect.isclass(exported):
        for base in exported.__mro__[:-1]:
            if base.__module__.startswith("lash_redis"):
                yield f"a base of {name}", {base.__name__} - BESIDE
                for field, annotation in inspect.get_annotations(base).items():
                    if not field.startswith("_"):
                        yield f"{name}.{field}", words(annotation) - BESIDE
        for method, function in functions(exported):
            yield from of_function(f"{name}.{method}", function)


def of_function(where: str, function: Callable[..., Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield the same of a function."""
    yield f"the docstring of {where}", quoted(function)
    signature = inspect.signature(function)
    yield f"{where} returns", words(signature.return_annotation)
    for parameter in signature.parameters.values():
        yield f"{where} {parameter.name}", words(parameter.annotation)


def words(annotation: object) -> set[str]:
    """Return the words of an annotation as it was written."""
    return set(re.findall(r"\w+", str(annotation)))


def quoted(documented: object) -> set[str]:
    """Return the words that a docstring marks as code, and what it says is raised."""
    text = inspect.getdoc(documented) or ""
    return set(re.findall(r"``(\w+)", text)) | set(re.findall(r"^ +(\w+): ", text, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_whatever_a_public_name_shows_is_public_too(name: str) -> None:
    """Who annotates, matches or catches what they got need not look for the module in which it is made."""
    hidden = {each for each in classes_of_ours() - EXPORTED if not each.startswith("_")}
    missing = {
        f"{where}: {word}"
        for where, found in shown_by(name)
        if not any(where.removeprefix("the docstring of ").startswith(part) for part in PARTS)
        for word in found & hidden
    }

    assert missing == set()


def test_every_error_that_users_meet_can_be_caught_by_name() -> None:
    """Whatever ``core/errors.py`` defines is raised to users."""
    defined = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }

    assert defined - EXPORTED == set()


def test_the_registry_has_what_its_docstring_names() -> None:
    """The sentence about what programs call names operations that are there."""
    assert len(for_programs()) >= 16
    assert [name for name in for_programs() if not hasattr(lash_redis.ProcessRegistry, name)] == []
