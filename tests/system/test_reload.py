"""``lash-redis worker --reload``: new code runs without a new pool."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.outcomes import Success
from lash_redis.pool.reloading import changed_since, watched_for
from lash_redis.pool.settings import PoolSettings
from tests.support import block_until
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

TASK = """

@lash.task(recovery="rerunnable", name="measure_version")
def measure_version(name: str) -> int:
    return {version}
"""


async def test_a_changed_file_is_run_by_the_next_worker_process(
    start_pool: StartPool, work: Work, tmp_path: Path
) -> None:
    """The pool itself goes on; what the old worker process ran has ended in order."""
    (tmp_path / "more.py").write_text("from work import lash" + TASK.format(version=1))
    pool = start_pool("--reload", "--grace", "1", "--import", "more")
    pool.until_ready()
    (first,) = pool.workers
    await work.submit("measure_version", "a")
    assert (await work.end_of("a")).outcome == Success(1)

    # Another length: of a file of the same length and second Python takes what it compiled before.
    (tmp_path / "more.py").write_text("from work import lash" + TASK.format(version=12))

    pool.until_logged("worker.reloading")
    block_until(lambda: [each.pid for each in pool.workers] not in ([], [first.pid]), "another one was started")
    await work.submit("measure_version", "b")
    assert (await work.end_of("b")).outcome == Success(12)
    pool.signal()
    assert pool.exit_code() == 0


async def test_code_that_cannot_be_imported_is_tried_until_it_is_mended(
    start_pool: StartPool, work: Work, tmp_path: Path
) -> None:
    """The pool shows why, and runs what is saved next; also after the file had gone."""
    more, good = tmp_path / "more.py", "from work import lash" + TASK
    more.write_text(good.format(version=1))
    pool = start_pool("--reload", "--grace", "1", "--import", "more")
    pool.until_ready()

    for number, code in enumerate(["def (", None], start=1):
        died = pool.log.count("pool.died")
        more.unlink() if code is None else more.write_text(code)
        pool.until_logged("pool.died", died + 1)
        more.write_text(good.format(version=10**number))
        await work.submit("measure_version", f"mended-{number}")
        assert (await work.end_of(f"mended-{number}")).outcome == Success(10**number)

    assert "SyntaxError" in pool.log
    pool.signal()
    assert pool.exit_code() == 0


def test_packages_are_watched_by_their_folders_and_modules_by_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a package that has no ``__init__.py``."""
    for name in ("watched_plain/__init__.py", "watched_plain/inner.py", "watched_bare/inner.py", "watched_single.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    modules = ["watched_plain.inner", "watched_bare.inner", "watched_single"]
    for name in modules:
        importlib.import_module(name)

    packages, files = watched_for([*modules, "watched_not_imported"])

    assert packages == [tmp_path / "watched_plain", tmp_path / "watched_bare"]
    assert files == [tmp_path / "watched_single.py"]


def test_what_changed_while_it_was_imported_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch began later. A time to come is none: the code would reload for ever."""
    (tmp_path / "saved_package").mkdir()
    inner, single = tmp_path / "saved_package" / "inner.py", tmp_path / "saved_single.py"
    for file in (inner, single):
        file.touch()
    monkeypatch.syspath_prepend(tmp_path)
    modules = ["saved_package.inner", "saved_single"]
    for name in modules:
        importlib.import_module(name)
    packages, files = watched_for(modules)

    def changed(since_ms: int) -> str:
        return Path(changed_since(packages, files, since_ms)).name

    now_ms = inner.stat().st_mtime_ns // 1_000_000 + 10_000
    assert changed(now_ms) == ""
    os.utime(single, (now_ms / 1000 - 20, now_ms / 1000 - 20))
    assert changed(now_ms - 10_000) == "inner.py"
    os.utime(inner, (now_ms / 1000 + 3600, now_ms / 1000 + 3600))
    assert changed(now_ms - 10_000) == ""
    inner.unlink()
    assert changed(now_ms - 10_000) == "inner.py"


def test_without_watchfiles_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else needs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(SettingsError, match="pip install watchfiles"):
        PoolSettings(target="shop:lash", reload=True)
    assert not PoolSettings(target="shop:lash").reload
