"""From ``MODULE:ATTR`` to the user's ``Lash``, with an error that says what is wrong with which part."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from lash_redis.app.lash import Lash
from lash_redis.core.errors import SettingsError

_MACHINERY = ("<frozen importlib", str(Path(importlib.__file__).parent))


def load(target: str) -> Lash:
    """Import a module, from the working folder or wherever Python finds it, and return its ``Lash``.

    Raises:
        SettingsError: no such module or attribute, the module raises (the message shows where), or it is no ``Lash``.
    """
    module_name, _, path = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found = _imported(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            raise SettingsError(f"{target}: {module_name} has no {path!r}; {_suggestion(sys.modules[module_name])}")
        found = getattr(found, name)
    if not isinstance(found, Lash):
        raise SettingsError(f"{target}: expected a Lash, got {type(found).__name__}")
    return found


def _imported(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            missing = f"no module named {error.name!r}" + (f" (of {name!r})" if error.name != name else "")
            raise SettingsError(f"{missing}: it was looked for in {Path.cwd()} and where Python looks") from None
        raise SettingsError(_shown(name, error)) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module raises is for its author to read
        raise SettingsError(_shown(name, error)) from None


def _shown(name: str, error: BaseException) -> str:
    """Return the error with the frames of the user's code, those of the import system left out."""
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list(
        [frame for frame in shown.stack if not frame.filename.startswith(_MACHINERY) and frame.filename != __file__]
    )
    return f"{name} cannot be imported:\n{''.join(shown.format()).rstrip()}"


def _suggestion(module: object) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, Lash)]
    return f"it has a Lash named {', '.join(map(repr, names))}" if names else "it has no Lash"
