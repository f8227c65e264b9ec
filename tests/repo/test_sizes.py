"""Lint: a module is one idea."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.repo.tree import files, read, shown

LIMITS = {"lash_redis": 300, "scripts": 300, "tests": 500}

REASON = "is long because "  # as in "This module is long because …", in the docstring at its top


def gives_a_reason(path: Path) -> bool:
    """Say whether a module says at its top why it is long."""
    return path.suffix == ".py" and REASON in (ast.get_docstring(ast.parse(read(path))) or "")


def test_no_module_outgrows_one_idea() -> None:
    """A module stays within its limit, or says at its top why it cannot; one that has shrunk says so no more."""
    wrong = {
        shown(path): f"{lines} lines, the limit is {limit}"
        for folder, limit in LIMITS.items()
        for path in files(".py", ".lua", under=folder)
        if ((lines := read(path).count("\n")) > limit) != gives_a_reason(path)
    }

    assert wrong == {}
