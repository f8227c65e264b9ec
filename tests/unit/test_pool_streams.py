"""Writing in the background: what waits is bounded, what is lost is counted, and nothing blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lash_redis.pool.streams import BackgroundWriter
from tests.support import block_until


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return both ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read_until(reader: int, last: bytes) -> bytes:
    """Read until what was read ends in ``last``."""
    read = b""
    while not read.endswith(last):
        read += os.read(reader, 1 << 16)
    return read


def test_what_is_written_arrives_in_order(pipe: tuple[int, int]) -> None:
    """Once it has finished, all of it is in the pipe."""
    reader, writer = pipe
    stream = BackgroundWriter(writer)

    for number in range(100):
        stream.write(f"{number}\n")

    assert stream.finish(10)
    assert read_until(reader, b"99\n") == "".join(f"{number}\n" for number in range(100)).encode()


def test_a_full_pipe_blocks_nobody_and_what_is_dropped_is_counted(pipe: tuple[int, int]) -> None:
    """A reader that comes back finds what fitted, and how many lines did not."""
    reader, writer = pipe
    stream = BackgroundWriter(writer)

    for _ in range(5000):
        stream.write("x" * 1000 + "\n")
    assert not stream.finish(0.01)

    reading = ThreadPoolExecutor(1).submit(read_until, reader, b"last\n")
    block_until(lambda: not stream.waiting_bytes, "what fitted is written")
    stream.write("last\n")
    lines = reading.result(10).splitlines()
    dropped = sum(int(line.split()[1]) for line in lines if line.startswith(b"lash-redis: "))
    assert dropped > 1000
    assert len([line for line in lines if line.startswith(b"x")]) + dropped == 5000
    assert lines[-1] == b"last"


def test_a_stream_whose_reader_has_gone_drops_what_is_written(pipe: tuple[int, int]) -> None:
    """It raises nothing, and says at the end that something is missing."""
    os.close(os.dup(pipe[0]))
    reader, writer = os.pipe()
    os.close(reader)
    stream = BackgroundWriter(writer)

    stream.write("lost\n")

    block_until(lambda: not stream.waiting_bytes, "it was tried")
    assert not stream.finish(1)
    os.close(writer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_by_itself(pipe: tuple[int, int]) -> None:
    """The thread of its parent is not in it, and what waits in the parent is not its own."""
    reader, writer = pipe
    stream = BackgroundWriter(writer)
    stream.write("parent\n")
    assert stream.finish(10)

    child = os.fork()
    if not child:
        stream.write("child\n")
        os._exit(0 if stream.finish(10) else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert read_until(reader, b"child\n") == b"parent\nchild\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_wait_for_what_its_parent_has_yet_to_write(pipe: tuple[int, int]) -> None:
    """At its end it has nothing to write, and the thread that writes for its parent is not in it."""
    reader, writer = pipe
    stream = BackgroundWriter(writer)
    stream.write("x" * 1_000_000 + "\n")
    assert stream.waiting_bytes

    child = os.fork()
    if not child:
        os._exit(0 if not stream.waiting_bytes and stream.finish(0) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    read_until(reader, b"\n")
