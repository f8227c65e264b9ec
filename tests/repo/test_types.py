"""Lint: what type checkers know of a program, and what they refuse in it.

mypy reads ``typed_program.py`` in scripts/check, with all other files.
"""

from __future__ import annotations

from tests.repo.checker import checked
from tests.repo.tree import ROOT


def test_pyright_knows_what_mypy_knows() -> None:
    """Whoever writes in an editor that asks pyright sees the same types, and the same lines refused."""
    ran = checked(ROOT)

    assert ran.returncode == 0, ran.stdout + ran.stderr
