"""The pipe between supervisor and worker process: messages in pieces, bounded sending, the end of either side."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_redis.core.errors import LashError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Deferred, DrainReport
from lash_redis.pool.child import _start_from
from lash_redis.pool.messages import (
    Drain,
    Fatal,
    Frames,
    Go,
    Hello,
    Hurry,
    Place,
    Ready,
    Renewed,
    Report,
    Start,
    ToSupervisor,
    ToWorker,
    framed,
)
from lash_redis.pool.pipe import Link
from lash_redis.registry.answers import RenewedRow
from lash_redis.worker.keeper import Renewal
from lash_redis.worker.settings import WorkerSettings
from tests.support import wait_until

RENEWED = Renewed(Renewal(0, 17, [RenewedRow("owner", "id", "token", 3, b"\x00cancel")]))
TO_WORKER = [Start("a:b", "o/1", "i", WorkerSettings(queues=("a", "b"))), Go(), RENEWED, Drain(), Hurry()]
TO_SUPERVISOR = [
    Hello(LeaseOwner.local_process("o/1", "i"), Place("redis://:secret@h/0", "lash", None)),
    Hello(LeaseOwner.opaque("o/1", "i"), Place("unix:///s", "lash", 8, embedded="/data")),
    Ready(),
    Report(DrainReport(["a"], [Deferred("b", "why")], 1, 2), ["c"]),
    Fatal("no", 2),
]


@pytest.mark.parametrize(("kind", "messages"), [(ToWorker, TO_WORKER), (ToSupervisor, TO_SUPERVISOR)])
@given(size=st.integers(1, 64))
def test_messages_arrive_whole_in_whatever_pieces(kind: type, messages: list[ToWorker], size: int) -> None:
    """What is read from a pipe may end anywhere in a message."""
    sent, frames = b"".join(map(framed, messages)), Frames()
    received: list[ToWorker] = []

    for at in range(0, len(sent), size):
        received += [msgspec.msgpack.decode(body, type=kind) for body in frames.feed(sent[at : at + size])]

    assert received == messages


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_what_to_be_is_read_and_what_was_said_right_after_it_is_left(size: int) -> None:
    """A pool that drains at once says so right behind it; that is heard once the user's code is loaded."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        start = Start("a:b", "o/1", "i", WorkerSettings())
        sent = framed(start) + framed(Drain())
        for at in range(0, len(sent), size):
            ours.send(sent[at : at + size])
        ours.shutdown(socket.SHUT_WR)

        assert _start_from(theirs) == start
        assert theirs.recv(4096) == framed(Drain())


def test_what_is_no_message_is_refused() -> None:
    """A length beyond all reason means that something else wrote into the pipe."""
    with pytest.raises(LashError, match="something else wrote into it"):
        Frames().feed(b"Hello, world")


class End:
    """One end of a pipe, and what it received."""

    def __init__(self, end: socket.socket) -> None:
        self.received: list[ToWorker] = []
        self.ends = 0
        decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
        self.link = Link(end, decoder, self.received.append, self.ended)

    def ended(self) -> None:
        """Count how often the end was told."""
        self.ends += 1


@pytest.fixture
def pipe() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a pipe."""
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


async def test_sending_to_one_that_does_not_read_keeps_only_the_newest_word(
    pipe: tuple[socket.socket, socket.socket],
) -> None:
    """A worker process stuck in a C call is told the last renewal of each partition, not all that it missed."""
    sender = End(pipe[0])
    rows = [RenewedRow("owner", "x" * 200, "token", number) for number in range(1000)]

    for tick in range(200):
        for partition in (0, 1):
            sender.link.send(Renewed(Renewal(partition, tick, rows)), newest_of=partition)
    sender.link.send(Drain())
    assert len(sender.link._waiting) <= 3

    reader = End(pipe[1])
    await wait_until(lambda: Drain() in reader.received, "the last message has arrived")
    last = [message.renewal.sent_at_ms for message in reader.received if isinstance(message, Renewed)]
    assert last == sorted(last)
    assert last[-2:] == [199, 199]
    assert len(reader.received) < 100
    await sender.link.sent()
    sender.link.close()
    reader.link.close()


async def test_the_end_of_the_other_side_is_told_once(pipe: tuple[socket.socket, socket.socket]) -> None:
    """What was sent before the end is received before it."""
    one, other = End(pipe[0]), End(pipe[1])
    other.link.send(Go())
    other.link.close()

    await wait_until(lambda: one.ends, "the end is seen")

    one.link.send(Drain())
    await one.link.sent()
    assert (one.received, one.ends, other.ends) == ([Go()], 1, 0)
    one.link.close()


async def test_garbage_ends_the_link(pipe: tuple[socket.socket, socket.socket]) -> None:
    """Whoever writes nonsense is not understood any further."""
    one = End(pipe[0])
    pipe[1].sendall(len(b"\xc1").to_bytes(4, "big") + b"\xc1" + framed(Go()))

    await wait_until(lambda: one.ends, "the end is told")

    assert one.received == []
    one.link.close()


async def test_the_rest_is_read_although_somebody_else_holds_the_pipe_open(
    pipe: tuple[socket.socket, socket.socket],
) -> None:
    """A dead worker process's last words are read without waiting for the end, which its offspring may hold back."""
    one = End(pipe[0])
    pipe[1].sendall(framed(Drain()) + framed(Go()))

    one.link.read_rest()

    assert one.received == [Drain(), Go()]
    await asyncio.sleep(0)
    assert one.ends == 0
    one.link.close()
