"""The end of a worker process: nothing that a task has left behind holds it up."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.repo.tree import ROOT

LEAVE = """
import sys, threading, time
from lash_redis.pool.leaving import exit_within

{before}
exit_within(0.2, 7)
print("leaving", flush=True)
{then}
"""

STUCK = {
    "a thread that does not end": ("threading.Thread(target=time.sleep, args=[600]).start()", ""),
    "a main thread that waits": ("", "time.sleep(600)"),
    "a stream that nobody reads": ("", "while True: sys.stdout.write('x' * 100_000)"),
}
NO_THREADS = """
def refuse(thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = refuse
"""


def end_of(before: str, then: str) -> int:
    """Run a program that leaves, and return its exit code."""
    program = LEAVE.format(before=before, then=then)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "leaving\n"
            return process.wait(20)
        finally:
            process.kill()


@pytest.mark.parametrize("what", STUCK)
def test_a_worker_process_that_leaves_is_held_up_by_nothing(what: str) -> None:
    """Not even by a stream that takes no more: it would be renewed for ever."""
    assert end_of(*STUCK[what]) == 7


def test_a_worker_process_that_gets_no_thread_leaves_all_the_same() -> None:
    """The kernel ends it then."""
    assert end_of(NO_THREADS, "time.sleep(600)") == -signal.SIGALRM
