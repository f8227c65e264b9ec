"""Lint: which module may import which, and what only one module may ask for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.tree import ROOT, files, read, shown

CLOCKS_AND_RANDOMNESS = {"random", "secrets", "time", "uuid"}


def test_imports_only_point_down() -> None:
    """The contracts in pyproject.toml hold: layers, no cycles, no I/O in ``core`` and ``tasks``, Redis, psutil."""
    pytest.importorskip("importlinter", reason="import-linter comes with scripts/check")

    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_one_module_asks_for_time_and_randomness() -> None:
    """A simulation that replaces its clock replaces all of them."""
    asking = {
        shown(path)
        for path in files(".py", under="lash_redis")
        for node in ast.walk(ast.parse(read(path)))
        if CLOCKS_AND_RANDOMNESS & set(_imported(node))
    }

    assert asking == {"lash_redis/core/timing.py"}


def test_one_module_sets_timers() -> None:
    """One that another module set by the event loop would go by another clock."""
    setting = {
        shown(path)
        for path in files(".py", under="lash_redis")
        for node in ast.walk(ast.parse(read(path)))
        if isinstance(node, ast.Attribute) and node.attr in {"call_later", "call_at"}
    }

    assert setting == {"lash_redis/core/timing.py"}


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
    return []
