"""Lint: what users install is what is in the tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from tests.repo.tree import ROOT, files, shown

BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    """Modules, scripts in Lua and ``py.typed`` all reach the user, and nothing else does."""
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=ROOT, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")

    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert packed == {shown(path) for path in files(under="lash_redis")}
    assert "lash_redis/py.typed" in packed
