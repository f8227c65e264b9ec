"""scripts/bootstrap: finding a Python. That it installs is what every run of these tests shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.tree import ROOT

TOO_OLD = "#!/bin/sh\nexit 1\n"
# Any Python does for the search; what it is then asked to run is written down instead of run.
GOOD = '#!/bin/sh\ncase $2 in -c) exit 0 ;; esac\necho "$0 $2"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of what bootstrap needs, with no environment in it."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/bootstrap", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tools").mkdir()
    for tool in ("sh", "dirname", "cksum"):
        (tmp_path / "tools" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def bootstrap(project: Path, *path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it with nothing but ``path`` and a few tools to be found."""
    environment = {"PATH": os.pathsep.join(map(str, [*path, project / "tools"])), **variables}
    command = [project / "scripts/bootstrap"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def put(folder: Path, name: str, text: str) -> Path:
    """Write an executable and return its folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)
    return folder


def test_an_old_python_that_comes_first_is_passed_over(project: Path) -> None:
    """The same name further down PATH may be recent enough."""
    old, good = put(project / "old", "python3", TOO_OLD), put(project / "good", "python3", GOOD)

    ran = bootstrap(project, old, good)

    assert ran.stderr.startswith(f"{good}/python3 ")
    assert ran.returncode == 0


def test_a_python_with_its_version_in_the_name_is_found(project: Path) -> None:
    """A machine whose python3 is old often has a python3.12 beside it."""
    old, good = put(project / "old", "python3", TOO_OLD), put(project / "good", "python3.12", GOOD)

    ran = bootstrap(project, old, good)

    assert ran.stderr.startswith(f"{good}/python3.12 ")


def test_the_python_that_the_user_names_is_taken(project: Path) -> None:
    """``$LASH_PYTHON`` goes before whatever PATH offers."""
    first, named = put(project / "first", "python3", GOOD), put(project / "named", "my-python", GOOD)

    ran = bootstrap(project, first, LASH_PYTHON=f"{named}/my-python")

    assert ran.stderr.startswith(f"{named}/my-python ")


def test_no_python_is_a_clear_error(project: Path) -> None:
    """The message says what is needed and what was found instead."""
    old = put(project / "old", "python3", TOO_OLD)

    ran = bootstrap(project, old)

    assert ran.returncode == 1
    assert "needs Python 3.11 or later" in ran.stderr
    assert f"only {old}/python3" in ran.stderr
    assert ran.stdout == ""


def test_a_foreign_environment_is_left_alone(project: Path) -> None:
    """A folder that bootstrap did not make is never emptied."""
    shutil.copy(ROOT / "scripts/environment.py", project / "scripts")
    precious = put(project / "elsewhere", "precious", "")

    ran = bootstrap(project, Path(sys.executable).parent, LASH_VENV=str(precious))

    assert ran.returncode == 1
    assert "was not made by us" in ran.stderr
    assert (precious / "precious").exists()
