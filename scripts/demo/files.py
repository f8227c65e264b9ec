"""The files to measure, by package, without installed packages and caches."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

IGNORED_FOLDERS = frozenset({"site-packages", "dist-packages", "__pycache__", ".git", ".lash-redis", ".venv"})


def files_by_package(folder: str) -> dict[str, list[str]]:
    """Return the readable files of each package: all files of ``folder``, or the sources of the standard library if ''.

    Raises:
        SystemExit: there is no such folder, or it has no files.
    """
    root = Path(folder) if folder else Path(sysconfig.get_path("stdlib"))
    if not root.is_dir():
        raise SystemExit(f"expected a folder to measure, got {root}")
    packages: dict[str, list[str]] = {}
    for path_text, folders, names in os.walk(root):
        parent = Path(path_text)
        folders[:] = sorted(each for each in folders if each not in IGNORED_FOLDERS and not each.endswith("_cache"))
        found = [parent / name for name in sorted(names) if folder or name.endswith(".py")]
        paths = [str(path) for path in found if path.is_file() and not path.is_symlink() and _is_readable(path)]
        if paths:
            package = ".".join(parent.relative_to(root).parts) or root.name
            packages[package] = paths
    if not packages:
        raise SystemExit(f"expected a folder with files to measure, got {root}")
    return packages


def _is_readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False
