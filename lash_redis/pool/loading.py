"""Load the user's ``Lash`` from ``MODULE:ATTR``, and the modules with its tasks. An error names what is wrong."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from lash_redis.app.lash import Lash
from lash_redis.app.task import Task
from lash_redis.core.errors import SettingsError
from lash_redis.core.timing import wall_ms
from lash_redis.pool.choosing import chosen, first_few
from lash_redis.pool.discovery import left_out_of_package, module_beside, modules_in_package
from lash_redis.pool.messages import Serves

_IMPORT_SYSTEM = ("<frozen importlib", str(Path(importlib.__file__).parent))


class Loaded(NamedTuple):
    """What was loaded.

    Attributes:
        name: of the ``Lash``, ``MODULE:ATTR``.
        lash: the ``Lash`` itself.
        modules: those that were imported for its tasks, in their order.
        since_ms: when the first of them was about to be read (wall clock, ms).
    """

    name: str
    lash: Lash
    modules: list[str]
    since_ms: int


def load(
    target: str,
    imports: Sequence[str] = (),
    *,
    discovery: bool = True,
    on_import: Callable[[str], object] = lambda _module: None,
) -> Loaded:
    """Import a module from the working folder or from Python's path, and its tasks; return its ``Lash``.

    Tasks are looked for in the module itself, in ``imports``, and in the modules named ``tasks`` of the module's
    package and of the packages below it; for a module in no package in the ``tasks`` beside it, unless the ``Lash`` has
    tasks.

    Args:
        target: ``MODULE:ATTR``, or ``MODULE`` if it has one ``Lash``.
        imports: the names of further modules to import.
        discovery: whether to look for modules named ``tasks``.
        on_import: called with the name of a module right before it is imported.

    Raises:
        SettingsError: there is no such module or attribute, a module raises an error (the message shows where), or the
            attribute is no ``Lash``.
    """
    since_ms = wall_ms()
    module_name, _, path = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    on_import(module_name)
    module = _import(module_name)
    path = path or _only_name(target, module)
    lash = _lash_at(target, module, path)
    modules = [module_name]

    def take(names: Sequence[str], why: str) -> None:
        for name in names:
            if name not in modules:
                on_import(name)
                _import(name, why)
                modules.append(name)

    take(imports, "named by --import")
    if discovery:
        take(
            modules_in_package(module), "a module named tasks in the package of the Lash; --no-discovery leaves it out"
        )
    if discovery and not lash.tasks:
        take(module_beside(module), "the module named tasks beside that of the Lash; --no-discovery leaves it out")
    return Loaded(f"{module_name}:{path}", lash, modules, since_ms)


def tasks_to_run(loaded: Loaded, names: tuple[str, ...]) -> tuple[Task[..., Any], ...]:
    """Return the tasks with these names, or all of them if none is named.

    Raises:
        SettingsError: there is no task at all, or none of a name.
    """
    if not loaded.lash.tasks:
        raise _nothing_to_run(loaded)
    return chosen(loaded.lash.tasks, names)


def serves(loaded: Loaded, tasks: Sequence[Task[..., Any]], queues: Collection[str]) -> Serves:
    """Return what people are told of the tasks that a worker process runs, which serves these queues."""
    declared = [task.declaration for task in tasks]
    modules = dict.fromkeys(each.function.__module__ for each in declared)
    own = dict.fromkeys(each.options.queue for each in declared)
    unserved, bare = [each for each in own if each not in queues], [each for each in queues if each not in own]
    names = [each.name for each in declared]
    return Serves(
        len(tasks),
        tasks=first_few(names),
        modules=first_few(list(modules)),
        unserved_queues=first_few(unserved),
        bare_queues=first_few(bare),
        own_queues=list(own),
        others=dict(_tasks_of_others(loaded)),
    )


def _tasks_of_others(loaded: Loaded) -> Iterator[tuple[str, list[str]]]:
    """Yield the names of other ``Lash`` objects, each with the first few of its tasks in the modules imported here."""
    for name, lash in _lashes_with_tasks(loaded.lash):
        if here := [task.name for task in lash.tasks if task.declaration.function.__module__ in loaded.modules]:
            yield name, first_few(here)


def _nothing_to_run(loaded: Loaded) -> SettingsError:
    others = "".join(
        f"; {name} is another Lash, and has {len(lash.tasks)}" for name, lash in _lashes_with_tasks(loaded.lash)
    )
    passed_over = "; ".join(first_few(left_out_of_package(sys.modules[loaded.modules[0]])))
    left_out = f"Left out: {passed_over}. " if passed_over else ""
    return SettingsError(
        f"{loaded.name} has no tasks, so there is nothing to run{others}. Imported: {', '.join(loaded.modules)}. "
        f"{left_out}Put @lash.task(recovery=...) on a function in one of them, or name the module that does: "
        "--import MODULE"
    )


def _lash_at(target: str, module: ModuleType, path: str) -> Lash:
    found: object = module
    for name in path.split("."):
        if not hasattr(found, name):
            raise SettingsError(f"{target}: {module.__name__} has no {path!r}; {_suggestion(module)}")
        found = getattr(found, name)
    if not isinstance(found, Lash):
        raise SettingsError(f"{target}: expected a Lash, got {type(found).__name__}; {_suggestion(module)}")
    return found


def _only_name(target: str, module: ModuleType) -> str:
    names = list({id(value): name for name, value in _lashes_of(module)}.values())
    if len(names) == 1:
        return names[0]
    raise SettingsError(f"expected MODULE:ATTR, got {target!r}: {_suggestion(module)}")


def _import(name: str, why: str = "") -> ModuleType:
    because = f" ({why})" if why else ""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            missing = f"no module named {error.name!r}" + (f" (of {name!r})" if error.name != name else "") + because
            looked = f"it was looked for in {Path.cwd()} and where Python looks"
            raise SettingsError(f"{missing}: {looked}{_lash_of_that_name(name)}") from None
        raise SettingsError(_import_error_text(name, because, error)) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - its author has to read whatever the module raises
        raise SettingsError(_import_error_text(name, because, error)) from None


def _lash_of_that_name(name: str) -> str:
    """Return the target that was meant by ``shop.tasks.lash``, as other pools write it."""
    parent, _, attribute = name.rpartition(".")
    found = attribute in dict(_lashes_of(sys.modules[parent])) if parent in sys.modules else False
    return f"; did you mean {parent}:{attribute}?" if found else ""


def _import_error_text(name: str, because: str, error: BaseException) -> str:
    """Return the error with the frames of the user's code, without those of the import system."""
    summary = traceback.TracebackException.from_exception(error)
    summary.stack = traceback.StackSummary.from_list(
        [
            frame
            for frame in summary.stack
            if not frame.filename.startswith(_IMPORT_SYSTEM) and frame.filename != __file__
        ]
    )
    return f"{name} cannot be imported{because}:\n{''.join(summary.format()).rstrip()}"


def _suggestion(module: ModuleType) -> str:
    names = [name for name, _ in _lashes_of(module)]
    return f"it has a Lash named {' and one named '.join(map(repr, names))}" if names else "it has no Lash"


def _lashes_of(module: ModuleType) -> list[tuple[str, Lash]]:
    # Not isinstance: it asks a value for its class, which a proxy may refuse.
    return [(name, value) for name, value in list(vars(module).items()) if issubclass(type(value), Lash)]


def _lashes_with_tasks(besides: Lash) -> Iterator[tuple[str, Lash]]:
    """Yield other ``Lash`` objects with tasks, each once, and what they are called."""
    seen = {id(besides)}
    for module in list(sys.modules.values()):
        with suppress(Exception):  # what stands in there may be anything
            for name, lash in _lashes_of(module):
                if id(lash) not in seen and lash.tasks:
                    seen.add(id(lash))
                    yield f"{module.__name__}:{name}", lash
