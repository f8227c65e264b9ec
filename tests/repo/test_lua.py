"""Lint: each script as the server gets it, its fragments included."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from lash_redis.registry.scripts import load_all
from tests.repo.tree import ROOT


@pytest.mark.parametrize("name", sorted(load_all()))
def test_luacheck_finds_nothing(name: str) -> None:
    """No script reads an undeclared global (Redis would refuse it, a fake would not) or computes what nobody uses."""
    command = ["luacheck", "--config", ".luacheckrc", "--codes", "--no-color", "-"]
    if shutil.which(command[0]) is None and os.environ.get("LASH_REQUIRE_LUACHECK") != "1":
        pytest.skip("luacheck: none found")

    ran = subprocess.run(command, cwd=ROOT, input=load_all()[name].source, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout
