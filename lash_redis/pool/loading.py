"""Load the user's ``Lash`` from ``MODULE:ATTR``. An error names the part that is wrong."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from lash_redis.app.lash import Lash
from lash_redis.core.errors import SettingsError

_IMPORT_SYSTEM = ("<frozen importlib", str(Path(importlib.__file__).parent))


def load(target: str) -> Lash:
    """Import a module from the working folder or from Python's path, and return its ``Lash``.

    Raises:
        SettingsError: there is no such module or attribute, the module raises an error (the message shows where), or
            the attribute is no ``Lash``.
    """
    module_name, _, path = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found = _import(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            raise SettingsError(f"{target}: {module_name} has no {path!r}; {_suggestion(sys.modules[module_name])}")
        found = getattr(found, name)
    if not isinstance(found, Lash):
        raise SettingsError(f"{target}: expected a Lash, got {type(found).__name__}")
    return found


def _import(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            missing = f"no module named {error.name!r}" + (f" (of {name!r})" if error.name != name else "")
            raise SettingsError(f"{missing}: it was looked for in {Path.cwd()} and where Python looks") from None
        raise SettingsError(_import_error_text(name, error)) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - its author has to read whatever the module raises
        raise SettingsError(_import_error_text(name, error)) from None


def _import_error_text(name: str, error: BaseException) -> str:
    """Return the error with the frames of the user's code, without those of the import system."""
    summary = traceback.TracebackException.from_exception(error)
    summary.stack = traceback.StackSummary.from_list(
        [
            frame
            for frame in summary.stack
            if not frame.filename.startswith(_IMPORT_SYSTEM) and frame.filename != __file__
        ]
    )
    return f"{name} cannot be imported:\n{''.join(summary.format()).rstrip()}"


def _suggestion(module: object) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, Lash)]
    return f"it has a Lash named {', '.join(map(repr, names))}" if names else "it has no Lash"
