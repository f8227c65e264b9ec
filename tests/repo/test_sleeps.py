"""Lint: tests wait for facts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.repo.tree import files, read, shown

# Whoever may let time pass, and why that is no wait for a fact.
MAY_SLEEP = {
    "tests/support.py": "it does the waiting for all others",
    "tests/proxy.py": "it is slow where a test asks for a slow connection",
    "tests/unit/test_pool_contained_loop.py": "an event loop waits for a moment, which is what is interrupted",
    "tests/unit/test_loops_left_behind.py": "no event loop is there any more, so that this raises",
}


def test_no_test_sleeps() -> None:
    """A test waits until something is so. ``asyncio.sleep(0)`` is no sleep: it lets the others have one turn."""
    sleeps = {path: [*_sleeps_in(path)] for path in files(".py", under="tests")}
    sleepers = {shown(path): places for path, places in sleeps.items() if places}

    assert [place for path, places in sleepers.items() if path not in MAY_SLEEP for place in places] == []
    assert MAY_SLEEP.keys() <= sleepers.keys()


def _sleeps_in(path: Path) -> Iterator[str]:
    """Yield the places; those of a program in a string are not seen, where code may take as long as it likes."""
    for node in ast.walk(ast.parse(read(path))):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="sleep"):
                yield f"{shown(path)}:{node.lineno}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio"), attr="sleep"), args=[seconds]):
                if not (isinstance(seconds, ast.Constant) and seconds.value == 0):
                    yield f"{shown(path)}:{node.lineno}"
            case ast.ImportFrom(module="time" | "asyncio", names=names) if any(name.name == "sleep" for name in names):
                yield f"{shown(path)}:{node.lineno}"
