"""What an operation is made of: calls to scripts, and the namespace that they go to. Pure.

An operation is a function whose first argument is the namespace. It returns one ``Call``; or it is a generator that
yields calls, is sent their answers or the errors that came instead, and returns a value. It knows nothing of
transports: ``operation`` and ``blocking_operation`` (``registry/operations.py``) make a method of it.

An operation about one process looks at unknown, terminal, authority and lease, in that order, and raises the first that
fails (rule 11.2).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeAlias, TypeVar

from lash_redis.core.bounds import QueueBound
from lash_redis.core.checks import MAX_PAYLOAD_BYTES, checked_id, checked_namespace
from lash_redis.core.model import ProcessLease, ProcessRecord
from lash_redis.core.policies import Policy
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.keys import header_key, partition_of
from lash_redis.registry.rows import Row

P = ParamSpec("P")
T = TypeVar("T")
Argument: TypeAlias = bytes | str | int
Steps: TypeAlias = Generator["Call[Any]", Any, T]

ATTEMPTS: Final = 3


class Call(Generic[T]):
    """One script to run in one partition. It is also the shortest operation: the one that yields this call.

    Args:
        script: the script's name.
        partition: the partition's number.
        args: the script's arguments, in the order of its header; the sender adds the namespace's uuid (rule 8.2).
        decode: makes a value, or an error, of the script's reply.
        word: the one status word of the replies that ``decode`` reads; None: it reads any.
        attempts: how often the call is sent in all while no answer comes.
    """

    __slots__ = ("args", "attempts", "decode", "partition", "script", "word")

    def __init__(
        self,
        script: str,
        partition: int,
        args: Sequence[Argument],
        decode: Callable[[list[Any]], T],
        *,
        word: bytes | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.script = script
        self.partition = partition
        self.args = args
        self.decode = decode
        self.word = word
        self.attempts = attempts

    def __iter__(self) -> Steps[T]:
        """Yield this call, and return its answer: ``yield from call`` has the answer's type."""
        answer: T = yield self
        return answer


class Namespace:
    """Where the calls of one namespace go.

    Attributes:
        name: 1 to 64 characters of ``[a-z0-9-]``.
        partitions: how many; of an adopted namespace known once it is open.
        max_payload_bytes: the longest input or outcome, bytes.
        uuid: the header's; empty until the namespace is open.
        named: the signatures that this client has stored, as uuid, partition and digest (rule 9.7).
        policies: the policies that it has stored, as uuid, partition and policy (rule 9.12).
        bounds: the bounds of queues that it has stored, as uuid and bound (rule 9.11).
    """

    def __init__(self, name: str, partitions: int, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self.name = checked_namespace(name)
        self.partitions = self._expected = partitions
        self.max_payload_bytes = max_payload_bytes
        self.uuid = ""
        self.named: set[tuple[str, int, str]] = set()
        self.policies: set[tuple[str, int, Policy]] = set()
        self.bounds: set[tuple[str, QueueBound]] = set()
        self._header_keys: dict[int, str] = {}

    def forget(self) -> None:
        """Forget what the header said."""
        self.partitions, self.uuid = self._expected, ""

    def header_key(self, partition: int) -> str:
        """Return the key of a partition's header: the one key that a script is told."""
        key = self._header_keys.get(partition)
        if key is None:
            key = self._header_keys[partition] = header_key(self.name, partition)
        return key

    def partition_of(self, process_id: str) -> int:
        """Return the partition of a process.

        Raises:
            SettingsError: the text is no process id.
        """
        return partition_of(checked_id("process id", process_id), self.partitions)


Operation: TypeAlias = Callable[Concatenate[Namespace, P], Call[T] | Steps[T]]


def about(
    namespace: Namespace, script: str, process_id: str, *args: Argument, lease: ProcessLease | None = None
) -> Call[ProcessRecord]:
    """Return a call about one process, whose id is the first argument; the answer is its record, or a refusal."""

    def decode(reply: list[Any]) -> ProcessRecord:
        if reply[0] == b"DONE":
            return Row(reply[1]).record()
        raise refusal(process_id, reply, lease)

    return Call(script, namespace.partition_of(process_id), [process_id, *args], decode)
