"""The README and nothing else: what it shows is run as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.tree import ROOT, read
from tests.support import block_until

README = read(ROOT / "README.md")


def block(kind: str, of: str) -> str:
    """Return the one block of a kind whose text has ``of`` in it."""
    (found,) = [text for text in re.findall(rf"^```{kind}\n(.*?)^```", README, re.DOTALL | re.MULTILINE) if of in text]
    return str(found)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Put the example where a newcomer would, and return what its programs are started with."""
    (tmp_path / "shop.py").write_text(block("python", "# shop.py"), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LASH_REDIS_")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    assert "`mkdir .lash-redis` makes any folder one" in README
    (tmp_path / ".lash-redis").mkdir()
    command = re.search(r"^    lash-redis (worker shop:lash.*)$", README, re.MULTILINE)
    assert command is not None
    log = tmp_path / "pool.log"
    with log.open("w") as stderr:
        pool = subprocess.Popen(
            [sys.executable, "-m", "lash_redis", *command[1].split()],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    block_until(lambda: "worker.ready" in log.read_text(), "the pool is ready")  # else the program says that none lives
    yield {"cwd": str(tmp_path), **environment}
    pool.terminate()
    assert pool.wait(40) == 0


@pytest.mark.system
@pytest.mark.skipif(sys.platform != "linux", reason="a pool needs a POSIX system with an embedded server")
def test_the_first_example_prints_what_the_page_says(shop: dict[str, str]) -> None:
    """A newcomer who copies the example and types the two commands sees the lines shown."""
    where = shop.pop("cwd")
    ran = subprocess.run(
        [sys.executable, "shop.py"], cwd=where, env=shop, capture_output=True, text=True, check=False, timeout=120
    )

    assert ran.stderr == ""
    assert ran.stdout == block("text", "receipt")


def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    """The test on fakeredis that the page shows is one, of the program that it shows, and needs no server."""
    (tmp_path / "shop.py").write_text(block("python", "# shop.py"), encoding="utf-8")
    (tmp_path / "test_shop.py").write_text(block("python", "# test_shop.py"), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LASH_REDIS_", "PYTEST_"))}
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout


def test_it_can_be_read_in_one_go() -> None:
    """Two hundred lines at most, thirty-odd of them the first example."""
    assert README.count("\n") <= 200
    assert block("python", "# shop.py").count("\n") <= 40
