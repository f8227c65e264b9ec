"""A pool whose standard streams are closed, full, stalled or gone works and drains as one whose streams are read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lash_redis.core.model import ProcessStatus
from tests.look import lease_of
from tests.support import wait_until
from tests.system.conftest import StartPool
from tests.system.pools import RunningPool, Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

SETTINGS = ("--lease-ttl", "3", "--grace", "120", "--interrupt", "0.5", "--last-writes", "1")


def closed(*numbers: int) -> dict[str, Any]:
    """Return the argument that starts a pool without these standard streams."""

    def close() -> None:
        for number in numbers:
            os.close(number)

    return {"preexec_fn": close}


@pytest.fixture
def stalled() -> Iterator[int]:
    """Return the end of a full pipe that nobody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    yield writer
    os.close(writer)
    os.close(reader)


@pytest.fixture
def unread() -> Iterator[int]:
    """Return the end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.fixture
def full() -> Iterator[int]:
    """Return a file on a disk that is full."""
    file = os.open("/dev/full", os.O_WRONLY)
    yield file
    os.close(file)


async def works_and_drains(pool: RunningPool, work: Work) -> None:
    """See a pool work, renew, and drain on SIGTERM while work runs; the exit code is 0."""
    pool.until_begun(await work.submit("pay", "pay"))
    first = await lease_of(work.registry, "pay")

    async def was_renewed() -> bool:
        return (await lease_of(work.registry, "pay")).expires_at_ms > first.expires_at_ms

    await wait_until(was_renewed, "the lease was renewed")
    pool.signal()
    pool.go("pay")

    assert pool.exit_code() == 0
    assert (await work.record("pay")).status is ProcessStatus.COMPLETED
    assert "Traceback" not in pool.log


# 1 has finished, or none: on a busy machine the work may end before its worker hears that it is to drain.
REPORT = r'could not be written to standard output: {"abandoned":\[\],"deferred":\[\],"released":0,"finished":[01]}'


@pytest.mark.parametrize("numbers", [(1,), (2,), (0, 1, 2)], ids=str)
async def test_a_pool_works_without_a_standard_stream(
    start_pool: StartPool, work: Work, numbers: tuple[int, ...]
) -> None:
    """No socket of the pool gets the number of a stream that is closed. A report without a place stands in the log."""
    pool = start_pool(*SETTINGS, **closed(*numbers))

    await works_and_drains(pool, work)

    if 1 not in numbers:
        assert pool.report()["finished"] in (0, 1)
    elif 2 not in numbers:
        assert re.search(REPORT, pool.log)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("streams", [("stdout",), ("stdout", "stderr")], ids="+".join)
async def test_a_pool_works_although_its_streams_lie_on_a_full_disk(
    start_pool: StartPool, work: Work, streams: tuple[str, ...], full: int
) -> None:
    """What cannot be written is dropped."""
    pool = start_pool(*SETTINGS, **dict.fromkeys(streams, full))

    await works_and_drains(pool, work)

    if streams == ("stdout",):
        assert re.search(REPORT, pool.log)


@pytest.mark.parametrize("streams", [("stderr",), ("stdout", "stderr")], ids="+".join)
async def test_a_pool_works_although_nobody_reads_its_streams(
    start_pool: StartPool, work: Work, streams: tuple[str, ...], stalled: int
) -> None:
    """The supervisor and its worker processes renew, hear the signal and drain in time; telling stops none of them."""
    pool = start_pool(*SETTINGS, **dict.fromkeys(streams, stalled))

    await works_and_drains(pool, work)


@pytest.mark.parametrize("streams", [("stdout",), ("stdout", "stderr")], ids="+".join)
async def test_a_pool_works_although_the_reader_of_its_streams_has_gone(
    start_pool: StartPool, work: Work, streams: tuple[str, ...], unread: int
) -> None:
    """The exit code is that of the drain, and no traceback is shown."""
    pool = start_pool(*SETTINGS, **dict.fromkeys(streams, unread))

    await works_and_drains(pool, work)


async def test_a_supervisor_shows_its_stacks_without_waiting_for_a_reader(
    start_pool: StartPool, work: Work, stalled: int
) -> None:
    """SIGQUIT drains at once although what it shows cannot be written."""
    pool = start_pool(*SETTINGS, stderr=stalled)
    pool.until_begun(await work.submit("measure", "measure"))

    pool.signal(signal.SIGQUIT)

    assert pool.exit_code() == 0


async def test_a_pool_whose_terminal_is_closed_drains(start_pool: StartPool, work: Work) -> None:
    """The hang-up is a signal to drain. Nothing can be written to the terminal any more."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, which a pool heeds, the tests ignore it
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    pool = start_pool(*SETTINGS, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=take_terminal)
    os.close(theirs)
    pool.until_begun(await work.submit("pay", "pay"))

    os.close(ours)
    pool.go("pay")

    assert pool.exit_code() == 0
    assert (await work.record("pay")).status is ProcessStatus.COMPLETED


PRINTING = """
import os, sys
from lash_redis import Lash
lash = Lash(namespace=os.environ["POOL_NAMESPACE"])

@lash.task(recovery="rerunnable", name="say")
def say(name: str) -> None:
    print(name)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_what_a_task_prints_in_vain_is_no_fault_of_the_pool(
    start_pool: StartPool, work: Work, tmp_path: Path, full: int
) -> None:
    """Python exits with 120 if it cannot write at its end what was printed. The drain went well all the same."""
    (tmp_path / "printing.py").write_text(PRINTING)
    pool = start_pool(*SETTINGS, target="printing:lash", stdout=full)
    await work.submit("say", "say")
    await work.end_of("say")

    pool.signal()

    assert pool.exit_code() == 0
    assert '"finished":0' in pool.log, "it had ended before"
