"""Which modules named ``tasks`` belong to the module of a ``Lash``, as the file system has them.

Nothing is imported in order to find them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Final

_TASKS: Final = "tasks"
_INIT: Final = "__init__.py"


def modules_in_package(module: ModuleType) -> list[str]:
    """Return the modules named ``tasks`` in the package of a module and in the packages below it, in order of name.

    A folder without ``__init__.py`` is no package here, except the one in which the module itself lies.
    """
    return [name for package, folder in _package_of(module) for name in _below(folder, package, set())]


def left_out_of_package(module: ModuleType) -> list[str]:
    """Return each ``tasks`` below the package of a module that ``modules_in_package`` passes over, and why it does."""
    left_out = []
    for _, folder in _package_of(module):
        with suppress(OSError):  # a folder that nobody may read
            for file in sorted([*folder.rglob(f"{_TASKS}.py"), *folder.rglob(f"{_TASKS}/{_INIT}")]):
                between = [folder / part for part in reversed(file.relative_to(folder).parents)][1:]
                barred = next((each for each in between if not _is_package(each)), None)
                if barred is not None:
                    why = f"has no {_INIT}" if barred.name.isidentifier() else "has a name that Python cannot import"
                    left_out.append(
                        f"{file.relative_to(folder.parent)}, since {barred.relative_to(folder.parent)} {why}"
                    )
    return left_out


def module_beside(module: ModuleType) -> list[str]:
    """Return ``tasks`` if a module of that name lies in the same folder as a module that is in no package.

    It does not count if Python would import another one by that name.
    """
    file = getattr(module, "__file__", None)
    if file is None or "." in module.__name__ or hasattr(module, "__path__") or module.__name__ == _TASKS:
        return []
    folder = Path(file).parent
    there = [each.resolve() for each in (folder / f"{_TASKS}.py", folder / _TASKS / _INIT) if each.is_file()]
    spec = importlib.util.find_spec(_TASKS) if there else None
    return [_TASKS] if spec is not None and spec.origin is not None and Path(spec.origin).resolve() in there else []


def _package_of(module: ModuleType) -> list[tuple[str, Path]]:
    """Return the name of a module's package with each of its folders; nothing of a module in no package."""
    spec = module.__spec__
    package = spec.parent if spec is not None else None
    found = importlib.util.find_spec(package) if package else None
    folders = [] if found is None else list(found.submodule_search_locations or ())
    return [(package or "", Path(folder)) for folder in folders]


def _is_package(folder: Path) -> bool:
    return folder.name.isidentifier() and (folder / _INIT).is_file()


def _below(folder: Path, package: str, seen: set[Path]) -> Iterator[str]:
    real = folder.resolve()
    if real in seen:  # a link that leads back up
        return
    seen.add(real)
    if (folder / f"{_TASKS}.py").is_file() or (folder / _TASKS / _INIT).is_file():
        yield f"{package}.{_TASKS}"
    packages: list[Path] = []
    with suppress(OSError):  # a folder that nobody may read
        packages = sorted(filter(_is_package, folder.iterdir()))
    for each in packages:
        yield from _below(each, f"{package}.{each.name}", seen)
