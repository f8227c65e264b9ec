"""Lint: what type checkers know of a program, and what they refuse in it.

mypy reads ``typed_program.py`` in scripts/check, with all other files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.tree import ROOT


def test_pyright_knows_what_mypy_knows() -> None:
    """Whoever writes in an editor that asks pyright sees the same types, and the same lines refused."""
    pytest.importorskip("basedpyright", reason="basedpyright comes with scripts/check")

    ran = subprocess.run(
        [Path(sys.executable).with_name("basedpyright"), "--pythonpath", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
