"""What a task is called that nobody named: as a pool would import it, whatever the program itself calls its module.

The one module of this layer that asks the file system: whether a folder is a package.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from lash_redis.core.checks import TASK_NAME
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError

_MAIN: Final = ("__main__", "__mp_main__")
_GIVE_IT_A_NAME: Final = 'give it a name that is the same in every program: name="..."'


def default_name(function: Callable[..., Any]) -> str:
    """Return ``module.qualname`` of a function, with the module as a worker would import it.

    Raises:
        SettingsError: it is a lambda, its module cannot be imported by its name, or the name has letters or a length
            that no task's name may have.
    """
    if "<lambda>" in function.__qualname__:
        raise _unnamed(function, "a lambda has no name of its own")
    name = f"{_importable_module(function)}.{function.__qualname__}"
    try:
        return TASK_NAME.checked("task name", name)
    except SettingsError:
        raise _unnamed(function, f"a task's name has {TASK_NAME.allowed}, and this would be {shown(name)}") from None


def location_of(function: Callable[..., Any]) -> str:
    """Return where a function, without its decorators, is defined: ``file:line``."""
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def definition(function: Callable[..., Any]) -> tuple[object, ...]:
    """Return what stays the same when the code that defines a function runs again.

    That is its name and module, and those of the functions that it closes over: the wrappers that one decorator makes
    differ in nothing else.
    """
    held = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # nothing is in it yet
            if inspect.isfunction(cell.cell_contents) and cell.cell_contents is not function:
                held.append((cell.cell_contents.__module__, cell.cell_contents.__qualname__))
    return (function.__module__, function.__qualname__, *held)


def described(function: Callable[..., Any]) -> str:
    """Return a function as an error names it."""
    return f"task {function.__qualname__} ({location_of(function)})"


def _importable_module(function: Callable[..., Any]) -> str:
    """Return the name by which a worker would import the function's module, also if it runs as the main program."""
    name = function.__module__
    if name not in _MAIN:
        if name in sys.modules:
            return name
        raise _unnamed(function, f"no pool can import its module {name!r}, which only this program has")
    # Not the module called ``__main__``: code that is executed in a namespace of its own may say that this is its name.
    main = inspect.unwrap(function).__globals__
    spec, file = main.get("__spec__"), main.get("__file__")
    if spec is not None and spec.name not in _MAIN:
        return str(spec.name)
    found = _module_of_file(Path(file)) if isinstance(file, str) and inspect.getmodulename(file) else ""
    if not found or found in _MAIN:
        raise _unnamed(
            function, "it is defined where no pool can import it (a prompt, a notebook, -c, standard input, exec)"
        )
    return found


def _module_of_file(file: Path) -> str:
    """Return the dotted name of a module whose file runs as a program, up through the folders that are packages.

    The working folder is none: a pool that is started in it imports what lies there by its own name, whatever the
    folder is called on this machine.
    """
    file, here = file.absolute(), _working_folder()
    names = [] if file.stem == "__init__" else [inspect.getmodulename(file.name) or ""]
    folder = file.parent
    while folder != here and folder.name.isidentifier() and (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names)


def _working_folder() -> Path | None:
    with suppress(OSError):  # somebody has removed it
        return Path.cwd()
    return None


def _unnamed(function: Callable[..., Any], why: str) -> SettingsError:
    return SettingsError(f"{described(function)}: {why}; {_GIVE_IT_A_NAME}")
