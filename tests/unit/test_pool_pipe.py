"""The pipe between supervisor and worker process: messages in pieces, bounded sending, and the end of either side."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_redis.core.errors import LashError
from lash_redis.core.events import Event, PoolFault
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Deferred, DrainReport
from lash_redis.core.subscribers import subscribed
from lash_redis.pool.child import read_start
from lash_redis.pool.messages import (
    Drain,
    Fatal,
    FrameReader,
    Go,
    Hello,
    Hurry,
    Ready,
    RegistryLocation,
    Renewed,
    Report,
    Start,
    ToSupervisor,
    ToWorker,
    frame,
)
from lash_redis.pool.pipe import Pipe
from lash_redis.registry.answers import RenewedRow
from lash_redis.worker.lease_keeper import Renewal
from lash_redis.worker.settings import WorkerSettings
from tests.support import wait_until

RENEWED = Renewed(Renewal(0, 17, [RenewedRow("owner", "id", "token", 3, b"\x00cancel")]))
TO_WORKER = [Start("a:b", "o/1", "i", WorkerSettings(queues=("a", "b"))), Go(), RENEWED, Drain(), Hurry()]
TO_SUPERVISOR = [
    Hello(LeaseOwner.local_process("o/1", "i"), RegistryLocation("redis://:secret@h/0", "lash", None)),
    Hello(LeaseOwner.opaque("o/1", "i"), RegistryLocation("unix:///s", "lash", 8, embedded="/data")),
    Ready(),
    Report(DrainReport(["a"], [Deferred("b", "why")], 1, 2), ["c"]),
    Fatal("no", 2),
]


@pytest.mark.parametrize(("kind", "messages"), [(ToWorker, TO_WORKER), (ToSupervisor, TO_SUPERVISOR)])
@given(size=st.integers(1, 64))
def test_messages_arrive_whole_however_they_are_cut(kind: type, messages: list[ToWorker], size: int) -> None:
    """A read from a pipe may end anywhere in a message."""
    sent, frames = b"".join(map(frame, messages)), FrameReader()
    received: list[ToWorker] = []

    for at in range(0, len(sent), size):
        received += [msgspec.msgpack.decode(body, type=kind) for body in frames.feed(sent[at : at + size])]

    assert received == messages


@pytest.mark.parametrize("size", [3, 16, 4096])  # a pipe holds some 250 pieces
def test_the_start_message_is_read_and_the_next_one_is_left_in_the_pipe(size: int) -> None:
    """A pool that drains at once sends that right behind the start; it is read once the user's code is loaded."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        start = Start("a:b", "o/1", "i", WorkerSettings())
        sent = frame(start) + frame(Drain())
        for at in range(0, len(sent), size):
            ours.send(sent[at : at + size])
        ours.shutdown(socket.SHUT_WR)

        assert read_start(theirs) == start
        assert theirs.recv(4096) == frame(Drain())


def test_bytes_that_are_no_message_are_refused() -> None:
    """An impossible length means that something else wrote into the pipe."""
    with pytest.raises(LashError, match="something else wrote into it"):
        FrameReader().feed(b"Hello, world")


class End:
    """One end of a pipe, and what it received."""

    def __init__(self, end: socket.socket) -> None:
        self.received: list[ToWorker] = []
        self.ends = 0
        decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
        self.pipe = Pipe(end, decoder, self.received.append, self.on_closed)

    def on_closed(self) -> None:
        """Count the calls."""
        self.ends += 1


@pytest.fixture
def pipe() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a pipe."""
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


async def test_of_messages_that_replace_each_other_only_the_newest_waits(
    pipe: tuple[socket.socket, socket.socket],
) -> None:
    """After a long C call a worker process reads the last renewal of each partition, not all that it missed."""
    sender = End(pipe[0])
    rows = [RenewedRow("owner", "x" * 200, "token", number) for number in range(1000)]

    for tick in range(200):
        for partition in (0, 1):
            sender.pipe.send(Renewed(Renewal(partition, tick, rows)), newest_of=partition)
    sender.pipe.send(Drain())
    assert sender.pipe.queued <= 3

    reader = End(pipe[1])
    await wait_until(lambda: Drain() in reader.received, "the last message has arrived")
    last = [message.renewal.sent_at_ms for message in reader.received if isinstance(message, Renewed)]
    assert last == sorted(last)
    assert last[-2:] == [199, 199]
    assert len(reader.received) < 100
    await sender.pipe.flush()
    sender.pipe.close()
    reader.pipe.close()


async def test_the_end_of_the_other_side_is_reported_once(pipe: tuple[socket.socket, socket.socket]) -> None:
    """Messages sent before the end arrive before it."""
    one, other = End(pipe[0]), End(pipe[1])
    other.pipe.send(Go())
    other.pipe.close()

    await wait_until(lambda: one.ends, "the end is seen")

    one.pipe.send(Drain())
    await one.pipe.flush()
    assert (one.received, one.ends, other.ends) == ([Go()], 1, 0)
    one.pipe.close()


async def test_garbage_ends_the_pipe(pipe: tuple[socket.socket, socket.socket]) -> None:
    """Nothing behind a message that cannot be decoded is read."""
    one = End(pipe[0])
    pipe[1].sendall(len(b"\xc1").to_bytes(4, "big") + b"\xc1" + frame(Go()))

    await wait_until(lambda: one.ends, "the end is reported")

    assert one.received == []
    one.pipe.close()


async def test_a_message_of_an_unknown_kind_is_told_of_and_left_alone(
    pipe: tuple[socket.socket, socket.socket],
) -> None:
    """The package may have been upgraded on disk under a running supervisor. What both sides know goes on."""
    one, events = End(pipe[0]), list[Event]()
    body = msgspec.msgpack.encode({"type": "promote", "rank": 3})

    with subscribed(events.append):
        pipe[1].sendall(len(body).to_bytes(4, "big") + body + frame(Go()))
        await wait_until(lambda: one.received, "the next message has arrived")

    assert (one.received, one.ends) == ([Go()], 0)
    assert events == [PoolFault(part="pipe", reason="a message of an unknown kind is left alone: 'promote'")]
    one.pipe.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"Hello, world, this is no message",
        len(b"\xc1").to_bytes(4, "big") + b"\xc1",
        (9).to_bytes(4, "big") + msgspec.msgpack.encode({"type": "hurry"})[:-1] + b"\xc1",
    ],
    ids=["a length that no message has", "no msgpack", "cut"],
)
async def test_bytes_of_a_stranger_end_the_pipe_loudly(pipe: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    """Both sides see the end, and the reason is an error in the log."""
    one, other, events = End(pipe[0]), End(pipe[1]), list[Event]()

    with subscribed(events.append):
        pipe[1].sendall(sent)
        await wait_until(lambda: one.ends and other.ends, "both sides see the end")

    (told,) = events
    assert isinstance(told, PoolFault)
    assert (told.part, told.level) == ("pipe", logging.ERROR)
    one.pipe.close()
    other.pipe.close()


async def test_a_message_that_cannot_be_handled_ends_the_pipe_loudly(
    pipe: tuple[socket.socket, socket.socket],
) -> None:
    """An event loop would only log the error, and the other side would wait for an answer for ever."""
    ends, events = list[int](), list[Event]()

    def fail(_message: ToWorker) -> None:
        raise OSError("a bug")

    decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
    one = Pipe(pipe[0], decoder, fail, lambda: ends.append(1))
    with subscribed(events.append):
        pipe[1].sendall(frame(Go()) + frame(Drain()))
        await wait_until(lambda: ends, "the end is reported")

    assert events == [PoolFault(part="pipe", reason="it is closed: OSError: a bug")]
    one.close()


def test_the_location_of_a_registry_shows_no_url() -> None:
    """A password may stand in it, and a location may stand in an error."""
    assert "secret" not in repr(TO_SUPERVISOR[0])


async def test_the_rest_is_read_although_another_process_holds_the_pipe_open(
    pipe: tuple[socket.socket, socket.socket],
) -> None:
    """A dead worker process's last messages are read without waiting for the end: its children may hold the pipe."""
    one = End(pipe[0])
    pipe[1].sendall(frame(Drain()) + frame(Go()))

    one.pipe.read_rest()

    assert one.received == [Drain(), Go()]
    await asyncio.sleep(0)
    assert one.ends == 0
    one.pipe.close()
