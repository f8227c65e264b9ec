"""Which functions can be tasks, and the errors at import."""

from __future__ import annotations

import functools
import runpy
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import RecoveryDisposition
from lash_redis.core.options import ProcessOptions
from lash_redis.tasks.declaration import MISSING, Declaration, declare

SCRIPT = """
from lash_redis.tasks.declaration import declare
def charge(): ...
name = declare(charge, recovery="rerunnable").name
"""


async def charge(order_id: str) -> str:
    """Return the argument."""
    return order_id


def measure(path: str) -> int:
    """Return the length of the argument."""
    return len(path)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper that says which function it wraps."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def numbers() -> Iterator[int]:
    """Yield a value, which no task may do."""
    yield 1


async def letters() -> AsyncIterator[str]:
    """Yield a value, which no task may do."""
    yield "a"


class Till:
    """A class with methods, which cannot be tasks."""

    def open(self) -> None:
        """Do nothing, with an instance."""

    @staticmethod
    def close(drawer: int) -> None:
        """Do nothing, without an instance."""

    def __call__(self) -> None:
        """Do nothing; it makes an instance callable."""


def test_a_missing_recovery_names_the_function_and_every_choice() -> None:
    """The message alone is enough to choose one."""
    with pytest.raises(SettingsError) as refused:
        declare(charge, recovery=MISSING)
    text = str(refused.value)
    assert "task charge (" in text
    assert "test_task_declaration.py:" in text
    for each in RecoveryDisposition:
        assert f'\n  recovery="{each.value}": ' in text


@pytest.mark.parametrize("recovery", ["rerunable", None, 3, []])
def test_an_unknown_recovery_is_refused_with_what_is_allowed(recovery: Any) -> None:
    """A misspelled disposition must not become another one."""
    with pytest.raises(
        SettingsError, match=r"task charge .*expected recovery to be 'rerunnable' or 'owner_bound', got"
    ):
        declare(charge, recovery=recovery)


def test_an_externally_owned_function_is_sent_to_expect() -> None:
    """The pool would never run it."""
    with pytest.raises(SettingsError, match=r"lash\.expect"):
        declare(charge, recovery="externally_owned")


@pytest.mark.parametrize("recovery", ["owner_bound", RecoveryDisposition.OWNER_BOUND])
def test_a_recovery_may_be_given_as_text_or_as_enum(recovery: RecoveryDisposition | str) -> None:
    """Both spellings mean the same."""
    assert declare(charge, recovery=recovery).disposition is RecoveryDisposition.OWNER_BOUND


def test_a_task_is_named_after_its_module_and_function() -> None:
    """Submitter and worker use the same name, because both import the module by its name."""
    assert declare(charge, recovery="rerunnable").name == f"{__name__}.charge"


def test_a_function_within_a_function_has_a_name_too() -> None:
    """The name comes from the source code, which is the same in every program."""

    def nested() -> None: ...

    name = declare(nested, recovery="rerunnable").name
    assert name.endswith(".test_a_function_within_a_function_has_a_name_too.<locals>.nested")


def test_a_lambda_needs_a_name() -> None:
    """All lambdas of a module would share one."""
    with pytest.raises(SettingsError, match="name="):
        declare(lambda: None, recovery="rerunnable")
    assert declare(lambda: None, recovery="rerunnable", name="nothing").name == "nothing"


def test_in_a_script_the_module_is_the_name_of_the_file(tmp_path: Path) -> None:
    """The worker imports ``shop``. The submitter runs the file as ``__main__``."""
    script = tmp_path / "shop.py"
    script.write_text(SCRIPT)
    assert runpy.run_path(str(script), run_name="__main__")["name"] == "shop.charge"


def test_run_as_a_module_the_module_is_the_one_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``python -m store.shop`` the name is in ``__spec__``."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "shop.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    assert runpy.run_module("store.shop", run_name="__main__")["name"] == "store.shop.charge"


def test_in_a_spawned_child_the_main_program_keeps_its_name(tmp_path: Path) -> None:
    """``multiprocessing`` runs the main program again as ``__mp_main__``."""
    script = tmp_path / "shop.py"
    script.write_text(SCRIPT)
    assert runpy.run_path(str(script), run_name="__mp_main__")["name"] == "shop.charge"


def test_a_script_within_a_package_has_the_name_that_the_package_gives_it(tmp_path: Path) -> None:
    """``python store/tasks.py`` submits what a pool with ``store.tasks`` runs, also two packages deep."""
    folder = tmp_path / "store" / "orders"
    folder.mkdir(parents=True)
    for package in (folder.parent, folder):
        (package / "__init__.py").touch()
    for file, module in [("tasks.py", "store.orders.tasks"), ("__init__.py", "store.orders")]:
        (folder / file).write_text(SCRIPT)
        assert runpy.run_path(str(folder / file), run_name="__main__")["name"] == f"{module}.charge"


def test_the_working_folder_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that is started in the same folder imports ``tasks``, and a copy of that folder may have another name."""
    folder = tmp_path / "store" / "orders"
    folder.mkdir(parents=True)
    (tmp_path / "store" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "tasks.py").write_text(SCRIPT)
    for here, module in [(folder, "tasks"), (folder.parent, "orders.tasks"), (tmp_path, "store.orders.tasks")]:
        monkeypatch.chdir(here)
        assert runpy.run_path(str(folder / "tasks.py"), run_name="__main__")["name"] == f"{module}.charge"


def test_a_script_beside_no_package_is_called_after_its_file_alone(tmp_path: Path) -> None:
    """A folder without ``__init__.py`` says nothing about the name."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "tasks.py").write_text(SCRIPT)
    assert runpy.run_path(str(tmp_path / "app" / "tasks.py"), run_name="__main__")["name"] == "tasks.charge"


@pytest.mark.parametrize(
    "space",
    [
        {"__name__": "__main__"},
        {"__name__": "__main__", "__file__": "<stdin>"},
        {"__name__": "nobody_imports_this"},
        {},
    ],
    ids=["a prompt or a notebook", "standard input", "another name", "no name at all"],
)
def test_what_no_pool_can_import_is_refused_with_the_way_out(space: dict[str, Any]) -> None:
    """Its work would wait for a worker that cannot exist. With a name it may be the task of a worker in the program."""
    with pytest.raises(SettingsError, match=r'task charge .*no pool can import.*name="\.\.\."'):
        exec(SCRIPT, dict(space))  # noqa: S102 - as an interpreter does
    with pytest.raises(SettingsError, match="max_retries"):  # first: a name would not mend that
        exec(SCRIPT.replace('"rerunnable"', '"rerunnable", max_retries=3'), dict(space))  # noqa: S102 - as above
    exec(SCRIPT.replace('"rerunnable"', '"rerunnable", name="charge"'), space)  # noqa: S102 - as above
    assert space["name"] == "charge"


def test_a_folder_that_is_run_needs_a_name_for_its_tasks(tmp_path: Path) -> None:
    """Its module is ``__main__`` for whoever imports it, which is another one in each program."""
    (tmp_path / "__main__.py").write_text(SCRIPT)
    with pytest.raises(SettingsError, match="no pool can import"):
        runpy.run_path(str(tmp_path), run_name="__main__")


def test_a_decorator_does_not_hide_the_script_of_its_function(tmp_path: Path) -> None:
    """The wrapper's own module is another one, but it says that its function is of the main program."""
    script = tmp_path / "shop.py"
    script.write_text(SCRIPT.replace("def charge", f"from {__name__} import logged\n@logged\ndef charge"))
    assert runpy.run_path(str(script), run_name="__main__")["name"] == "shop.charge"


def test_a_function_with_letters_of_another_alphabet_needs_a_name() -> None:
    """A task's name is ASCII; the error says so, and how to give one."""
    space: dict[str, Any] = {"__name__": __name__}
    exec("def größe(): ...", space)  # noqa: S102 - a name that this file need not have
    with pytest.raises(SettingsError, match=r'characters of \[A-Za-z.*größe.*name="\.\.\."'):
        declare(space["größe"], recovery="rerunnable")
    assert declare(space["größe"], recovery="rerunnable", name="size").name == "size"


@pytest.mark.parametrize("name", ["", "two words", "a|b", "x" * 201, 7])
def test_a_name_outside_what_is_allowed_is_refused(name: Any) -> None:
    """A ``|`` would break the name of a lane."""
    with pytest.raises(SettingsError, match="expected task name to be"):
        declare(charge, recovery="rerunnable", name=name)


@pytest.mark.parametrize(
    "not_a_function",
    [Till, Till(), Till().open, functools.partial(charge, "o-1"), len, 3],
    ids=["class", "callable object", "bound method", "partial", "builtin", "number"],
)
def test_only_a_function_can_be_a_task(not_a_function: Any) -> None:
    """An object without source code of its own has no stable name."""
    with pytest.raises(SettingsError, match="expected a task to be a function"):
        declare(not_a_function, recovery="rerunnable")


@pytest.mark.parametrize("generator", [numbers, letters])
def test_a_generator_cannot_be_a_task(generator: Any) -> None:
    """A result is one value."""
    with pytest.raises(SettingsError, match="got a generator"):
        declare(generator, recovery="rerunnable")


def test_a_method_cannot_be_a_task_but_a_static_one_can() -> None:
    """A worker has no instance to call a method on."""
    with pytest.raises(SettingsError, match="no 'self'"):
        declare(Till.open, recovery="rerunnable")
    assert declare(Till.close, recovery="rerunnable").name == f"{__name__}.Till.close"


@pytest.mark.parametrize(("function", "is_async"), [(charge, True), (measure, False)])
def test_a_declaration_knows_whether_to_await(function: Any, is_async: bool) -> None:
    """Async tasks run on the event loop, plain ones in threads."""
    assert declare(function, recovery="rerunnable").is_async is is_async


def test_a_declaration_carries_its_options_whole() -> None:
    """What is not given has its default."""
    declared = declare(charge, recovery="rerunnable", queue="mail")
    assert declared.options == ProcessOptions(queue="mail")


def test_a_declaration_never_changes() -> None:
    """A task stays the same as long as the program runs."""
    declared: Declaration = declare(charge, recovery="rerunnable")
    with pytest.raises(AttributeError):
        declared.name = "other"  # type: ignore[misc]
