"""The type checker that many editors ask: what it finds in our code, and in the programs of the documentation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.repo.tree import ROOT


def checked(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it in a folder; where it is not installed, the test is skipped."""
    pytest.importorskip("basedpyright", reason="basedpyright comes with scripts/check")
    command = [str(Path(sys.executable).with_name("basedpyright")), "--pythonpath", sys.executable, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def found_in_programs(folder: Path, roots: Iterable[str]) -> list[tuple[Path, int, str]]:
    """Return what it finds: file, line from 0, message. Each root is a folder within ``folder`` with one program."""
    environments = [{"root": root, "extraPaths": [str(ROOT)]} for root in roots]
    (folder / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "standard", "executionEnvironments": environments})
    )
    found = json.loads(checked(folder, "--outputjson").stdout)["generalDiagnostics"]
    return [(Path(each["file"]), each["range"]["start"]["line"], each["message"]) for each in found]
