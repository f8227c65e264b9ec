"""Lint: tests wait for facts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.repo.tree import ROOT, files, read, shown

THE_ONE_WAITER = ROOT / "tests/support.py"


def test_no_test_sleeps() -> None:
    """A test waits until something is so; only the one who does the waiting may call ``time.sleep``."""
    sleeps = [place for path in files(".py", under="tests") if path != THE_ONE_WAITER for place in _sleeps_in(path)]

    assert sleeps == []


def _sleeps_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(read(path))):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="sleep"):
                yield f"{shown(path)}:{node.lineno}"
            case ast.ImportFrom(module="time", names=names) if any(name.name == "sleep" for name in names):
                yield f"{shown(path)}:{node.lineno}"
