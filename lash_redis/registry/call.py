"""What one call to a script is made of, and which partition it goes to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from lash_redis.core.checks import MAX_BATCH, MAX_PAYLOAD_BYTES, checked_id, checked_int, checked_namespace
from lash_redis.core.errors import SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import ProcessLease, ProcessRecord
from lash_redis.registry.codec import encode_owner
from lash_redis.registry.keys import owner_digest, partition_of, partition_prefix
from lash_redis.registry.refusals import refusal
from lash_redis.registry.rows import Row

T = TypeVar("T")
Argument = bytes | str | int


class Call(Generic[T]):
    """One transition to send: the script's name, its partition, its arguments, and how to read the answer."""

    __slots__ = ("args", "decode", "partition", "script")

    def __init__(self, script: str, partition: int, args: list[Argument], decode: Callable[[list[Any]], T]) -> None:
        self.script = script
        self.partition = partition
        self.args = args
        self.decode = decode


class Batch(msgspec.Struct):
    """Items of one partition, and where each stood in the caller's list."""

    partition: int
    items: list[Any]
    places: list[int]


class Routing:
    """Where the calls of one namespace go. ``uuid`` is known once the namespace was opened."""

    def __init__(self, namespace: str, partitions: int, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self.namespace = checked_namespace(namespace)
        self.partitions = partitions
        self.max_payload_bytes = max_payload_bytes
        self.uuid = ""

    def prefix(self, partition: int) -> str:
        """Return the key prefix of a partition."""
        return partition_prefix(self.namespace, partition)

    def partition_of(self, process_id: str) -> int:
        """Return the partition of a process."""
        return partition_of(checked_id("process id", process_id), self.partitions)

    def batches(self, items: Sequence[Any], id_of: Callable[[Any], str], size: int) -> list[Batch]:
        """Cut items into batches of one partition each, which remember where each item stood."""
        open_: dict[int, Batch] = {}
        done: list[Batch] = []
        for place, item in enumerate(items):
            partition = 0 if self.partitions == 1 else self.partition_of(id_of(item))
            batch = open_.get(partition)
            if batch is None or len(batch.items) == size:
                batch = open_[partition] = Batch(partition, [], [])
                done.append(batch)
            batch.items.append(item)
            batch.places.append(place)
        return done

    def about(
        self, process_id: str, script: str, args: Sequence[Argument], lease: ProcessLease | None = None
    ) -> Call[ProcessRecord]:
        """Return a call about one process, whose answer is its record or a refusal."""

        def decode(reply: list[Any]) -> ProcessRecord:
            if reply[0] == b"DONE":
                return Row(reply[1]).record()
            raise refusal(process_id, reply, lease)

        return Call(script, self.partition_of(process_id), list(args), decode)


def owner_args(owner: LeaseOwner) -> tuple[str, bytes]:
    """Return what names an owner to a script."""
    if not isinstance(owner, LeaseOwner):
        raise SettingsError(f"expected owner to be a LeaseOwner, got {owner!r}")
    return owner_digest(owner), encode_owner(owner)


def checked_batch(what: str, named: Sequence[Hashable], at_most: int = MAX_BATCH) -> None:
    """Check a batch's length, and that it names nothing twice (design, section 10): a script plans a write once."""
    checked_int(f"{what} in a batch", len(named), at_least=1, at_most=at_most)
    if len(set(named)) != len(named):
        twice = next(each for place, each in enumerate(named) if each in named[:place])
        raise SettingsError(f"expected the {what} of a batch to be distinct, got {twice!r} twice")


def attempt_of(lease: ProcessLease) -> tuple[str, str, int]:
    """Return what names one attempt."""
    return lease.process_id, lease.token, lease.fencing_token


def one_owner(leases: Sequence[ProcessLease]) -> str:
    """Return the digest of the owner of all these leases."""
    digests = {owner_digest(lease.owner) for lease in leases}
    if len(digests) != 1:
        raise SettingsError(f"expected the leases of a batch to be one owner's, got {len(digests)} owners")
    return digests.pop()
