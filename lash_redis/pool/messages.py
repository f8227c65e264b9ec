"""What supervisor and worker process say to each other over their pipe: msgpack, each message after its length.

::

    supervisor                       worker process
    Start, what to be          ->    imports the user's code, opens the registry
                               <-    Hello, who it is and where (or Fatal: it cannot be)
    Go, leases are renewed     ->    claims from now on
                               <-    Ready
    Renewed, again and again   ->
    Drain, perhaps Hurry       ->    drains
                               <-    Report; then it exits, or waits for its end if a thread will not stop
"""

from __future__ import annotations

import msgspec

from lash_redis.core.errors import LashError, RegistryUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.worker.keeper import Renewal
from lash_redis.worker.settings import WorkerSettings

FAULT = 1  # exit codes, of a worker process and of its pool (design, section 5)
BAD_SETTINGS = 2
DEFERRED = 4

_LENGTH_BYTES = 4
MAX_MESSAGE_BYTES = 1 << 28


class Place(msgspec.Struct, frozen=True):
    """Where the processes are, so that the supervisor can open a registry of its own. The URL may hold a password.

    Attributes:
        partitions: None: as the namespace says.
        embedded: the data folder, if the server is the project's embedded one.
    """

    url: str
    namespace: str
    partitions: int | None
    allow_unsafe_server: bool = False
    embedded: str | None = None


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Be this incarnation of this owner; load ``target``, ``MODULE:ATTR``, and serve it."""

    target: str
    owner_id: str
    incarnation_id: str
    settings: WorkerSettings


class Go(msgspec.Struct, frozen=True, tag="go"):
    """Your leases are renewed from now on: claim."""


class Renewed(msgspec.Struct, frozen=True, tag="renewed"):
    """This is what was renewed for you in one partition."""

    renewal: Renewal


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Leave gracefully."""


class Hurry(msgspec.Struct, frozen=True, tag="hurry"):
    """Your grace is over; it is still a drain."""


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """I am this owner, and the processes are there. I have claimed nothing yet."""

    owner: LeaseOwner
    place: Place


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """I claim."""


class Report(msgspec.Struct, frozen=True, tag="report"):
    """I have drained, but for what still runs: that is left to you, once you have ended me."""

    report: DrainReport
    still_running: list[str] = []


class Fatal(msgspec.Struct, frozen=True, tag="fatal"):
    """I cannot be started: what to tell the user, and the exit code of a pool that has never been up."""

    text: str
    exit_code: int


def refusal(error: Exception) -> Fatal:
    """Return what to tell of one that cannot be started: an outage or a bug is a fault, all else a bad setting."""
    code = FAULT if isinstance(error, RegistryUnavailable) or not isinstance(error, LashError) else BAD_SETTINGS
    return Fatal(str(error) if isinstance(error, LashError) else repr(error), code)


ToWorker = Start | Go | Renewed | Drain | Hurry
ToSupervisor = Hello | Ready | Report | Fatal

_encoder = msgspec.msgpack.Encoder()


def framed(message: ToWorker | ToSupervisor) -> bytes:
    """Return a message as it travels."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class Frames:
    """Cuts what arrives, in whatever pieces, into the bodies of messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def missing(self) -> int:
        """How many bytes can be read without reading into the next message; at least one."""
        has_length = len(self._buffer) >= _LENGTH_BYTES
        length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big") if has_length else 0
        return _LENGTH_BYTES + length - len(self._buffer)

    def feed(self, received: bytes) -> list[bytes]:
        """Take what arrived and return the bodies that are whole now.

        Raises:
            LashError: a length that no message has: something else wrote into the pipe.
        """
        self._buffer += received
        bodies = []
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if length > MAX_MESSAGE_BYTES:
                raise LashError(f"a message of {length} bytes on the pipe: something else wrote into it")
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            bodies.append(bytes(self._buffer[_LENGTH_BYTES:end]))
            del self._buffer[:end]
        return bodies
