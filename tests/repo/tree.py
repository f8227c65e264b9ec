"""The project's own files, as the lints see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_MADE = {"__pycache__", "build", "dist", "node_modules"}
_GIT = ".git"  # a file in a worktree, which says where the repository is on this machine


def files(*suffixes: str, under: str = "") -> Iterator[Path]:
    """Yield the files that a person wrote, in a stable order; all of them, or those with one of ``suffixes``."""
    for folder, folders, names in os.walk(ROOT / under):
        folders[:] = sorted(name for name in folders if _is_ours(Path(folder, name)))
        for name in sorted(names):
            if name != _GIT and (not suffixes or name.endswith(suffixes)):
                yield Path(folder, name)


def shown(path: Path) -> str:
    """Return ``path`` as a reader of a failure wants it."""
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> str:
    """Return the text of a file; what is not text reads as empty."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _is_ours(folder: Path) -> bool:
    hidden = folder.name.startswith(".") and folder.name != ".ci"
    environment = (folder / "pyvenv.cfg").exists() or (folder / "lash-stamp").exists()
    return not (hidden or environment or folder.name in _MADE)
