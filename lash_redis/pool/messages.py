"""The messages between a supervisor and its worker processes: msgpack, each behind its length.

::

    supervisor                         worker process
    Start: which worker to be    ->    imports the user's code
                                 <-    Importing: which module, one after the other
                                       opens the registry
                                 <-    Waiting: the server does not answer, perhaps again and again
                                 <-    Hello: its owner, its tasks, where its registry is (or Fatal: it cannot start)
    Go: leases are renewed       ->    claims from now on
                                 <-    Ready
    Renewed, once a tick         ->
    Drain, perhaps Hurry         ->    drains
                                 <-    Report; then it exits, or waits to be killed if a thread does not stop
"""

from __future__ import annotations

from importlib import metadata
from typing import get_args

import msgspec

from lash_redis.core.errors import LashError, RegistryUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.recovery.last_writes import LastWrites
from lash_redis.worker.lease_keeper import Renewal
from lash_redis.worker.settings import WorkerSettings

FAULT = 1  # exit codes of a worker process and of its pool (rule 7.5)
BAD_SETTINGS = 2
DEFERRED = 4

_LENGTH_BYTES = 4
MAX_MESSAGE_BYTES = 1 << 28


class RegistryLocation(msgspec.Struct, frozen=True):
    """What the supervisor needs to open the registry that a worker process has opened.

    Attributes:
        url: of the server; it may hold a password.
        namespace: of the processes.
        partitions: None takes the number from the namespace.
        allow_unsafe_server: accept a server that evicts keys.
        embedded: the data folder if the server is the project's embedded one, else None.
    """

    url: str
    namespace: str
    partitions: int | None
    allow_unsafe_server: bool = False
    embedded: str | None = None

    def __repr__(self) -> str:
        """Show it without the URL, in which a password may stand."""
        return f"RegistryLocation(namespace={self.namespace!r}, partitions={self.partitions!r})"


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Tell a worker process which owner and incarnation it is, and which ``Lash`` it serves (``MODULE:ATTR``)."""

    target: str
    owner_id: str
    incarnation_id: str
    settings: WorkerSettings
    tasks: tuple[str, ...] = ()  # the names of those to serve; none: all of the ``Lash``
    imports: tuple[str, ...] = ()  # modules to import beside that of the target
    discovery: bool = True  # import the modules named ``tasks`` too
    reload: bool = False  # leave when a file of the imported packages changes
    url: str = ""  # of the server, in place of $LASH_REDIS_URL; it may hold a password

    def __repr__(self) -> str:
        """Show it without the URL, in which a password may stand."""
        return f"Start(target={self.target!r}, owner_id={self.owner_id!r}, incarnation_id={self.incarnation_id!r})"


class Go(msgspec.Struct, frozen=True, tag="go"):
    """Let the worker process claim: its leases are renewed from now on."""


class Renewed(msgspec.Struct, frozen=True, tag="renewed"):
    """Report what was renewed for the worker process in one partition."""

    renewal: Renewal


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Ask the worker process to drain."""


class Hurry(msgspec.Struct, frozen=True, tag="hurry"):
    """Ask the worker process to drain without grace."""


class Importing(msgspec.Struct, frozen=True, tag="importing"):
    """Tell the supervisor which module is imported now; None: all are, and the registry is opened."""

    module: str | None = None


class Waiting(msgspec.Struct, frozen=True, tag="waiting"):
    """Tell the supervisor that the server does not answer, and why; the worker process goes on trying."""

    reason: str


class Serves(msgspec.Struct, frozen=True):
    """What a worker process runs, as people are told of it.

    Attributes:
        task_count: how many tasks.
        tasks: the names of the first few.
        modules: the first few of the modules in which they are.
        unserved_queues: the first few of their own queues that the worker process does not serve.
        bare_queues: the first few of the queues that it serves for which none of its tasks is declared.
        own_queues: all of their own queues; None: a worker process of an older release does not say.
        others: the first few tasks of the same modules that are another ``Lash``'s, by the name of that one.
    """

    task_count: int = 0
    tasks: list[str] = []
    modules: list[str] = []
    unserved_queues: list[str] = []
    bare_queues: list[str] = []
    own_queues: list[str] | None = None
    others: dict[str, list[str]] = {}


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Introduce a worker process that is ready to claim and has claimed nothing yet."""

    owner: LeaseOwner
    location: RegistryLocation = msgspec.field(name="place")  # as a supervisor of the release before knows it
    version: str = "older"  # of its package, which may have been upgraded on disk under a running supervisor
    serves: Serves = Serves()


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Tell the supervisor that the worker process claims."""


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Tell the supervisor what the drain did.

    Attributes:
        report: of the drain.
        still_running: ids of work whose thread does not stop; the supervisor kills the worker process and settles it.
        is_fault: it drained because of a fault.
        unsent: what it could not send in time; the supervisor sends it before it records the death.
    """

    report: DrainReport
    still_running: list[str] = []
    is_fault: bool = False
    unsent: LastWrites = LastWrites()


class Fatal(msgspec.Struct, frozen=True, tag="fatal"):
    """Tell the supervisor that the worker process cannot start.

    Attributes:
        text: the reason, for the user.
        exit_code: of the worker process, and of a pool in which none ever got as far as ``Hello``.
    """

    text: str
    exit_code: int


def fatal_for(error: Exception) -> Fatal:
    """Return the message for an error at the start: an outage or a bug is a fault, the rest are bad settings."""
    is_fault = isinstance(error, RegistryUnavailable) or not isinstance(error, LashError)
    return Fatal(str(error) if isinstance(error, LashError) else repr(error), FAULT if is_fault else BAD_SETTINGS)


def _version() -> str:
    try:
        return metadata.version("lash-redis")
    except metadata.PackageNotFoundError:
        return "not installed"


VERSION = _version()

ToWorker = Start | Go | Renewed | Drain | Hurry
ToSupervisor = Importing | Waiting | Hello | Ready | Report | Fatal

_KINDS = {kind.__struct_config__.tag for kind in get_args(ToWorker | ToSupervisor)}
_encoder = msgspec.msgpack.Encoder()


def frame(message: ToWorker | ToSupervisor) -> bytes:
    """Return the bytes of a message with its length before it."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def unknown_kind(body: bytes) -> str | None:
    """Return the kind that a message names if this version knows no such message, else None."""
    try:
        kind = msgspec.msgpack.decode(body)["type"]
    except (msgspec.DecodeError, TypeError, KeyError):
        return None
    return None if kind in _KINDS or not isinstance(kind, str) else kind


class FrameReader:
    """Cuts received bytes, which may end anywhere, into the bodies of messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def missing_bytes(self) -> int:
        """How many bytes can be read without reading into the next message; at least one."""
        has_length = len(self._buffer) >= _LENGTH_BYTES
        length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big") if has_length else 0
        return _LENGTH_BYTES + length - len(self._buffer)

    def feed(self, received: bytes) -> list[bytes]:
        """Add received bytes and return the bodies that are complete now.

        Raises:
            LashError: a length that no message has.
        """
        self._buffer += received
        bodies = []
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if length > MAX_MESSAGE_BYTES:
                raise LashError(
                    f"expected a message of at most {MAX_MESSAGE_BYTES} bytes on the pipe, got one of {length}: "
                    "something else wrote into it"
                )
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            bodies.append(bytes(self._buffer[_LENGTH_BYTES:end]))
            del self._buffer[:end]
        return bodies
