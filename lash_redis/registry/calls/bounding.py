"""Bounded queues: storing their bounds, and reading them. Pure (rule 9.11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lash_redis.core.bounds import MOST_BOUNDED, BoundedQueue, QueueBound
from lash_redis.core.errors import SettingsError
from lash_redis.core.events import QueueBoundKept
from lash_redis.core.struct_checks import checked_kind
from lash_redis.core.subscribers import emit
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.calls.refusals import refusal


def bounds_stored(namespace: Namespace, bounds: Iterable[QueueBound]) -> Steps[None]:
    """Store the bounds that this client has not stored yet, in every partition.

    Raises:
        SettingsError: a bound is less than one for each partition, or too many queues are bounded.
    """
    uuid = namespace.uuid
    for bound in bounds:
        if (uuid, bound) not in namespace.bounds:
            yield from bound_queue(namespace, bound)
            namespace.bounds.add((uuid, bound))


def bound_queue(namespace: Namespace, bound: QueueBound) -> Steps[None]:
    """Store how many processes may wait in a queue that nobody has claimed yet; a lower revision replaces none.

    If another bound of the same revision stands, it stays, and ``queue.bound_kept`` is told.

    Raises:
        SettingsError: it is less than one for each partition, or too many queues are bounded.
    """
    checked_kind("bound", bound, QueueBound)
    most = "" if bound.most_waiting is None else str(bound.most_waiting)
    kept = None
    parts = [bound.part_of(partition, namespace.partitions) for partition in range(namespace.partitions)]
    for partition, part in enumerate(parts):
        args: list[Argument] = [bound.queue, bound.revision, most, "" if part is None else part]
        revision, stands = yield from Call("store_bounds", partition, args, _bounded)
        kept = stands if revision == bound.revision and stands != most else kept
    if kept is not None:
        emit(QueueBoundKept(queue=bound.queue, revision=bound.revision, stands=kept or "any", declared=most or "any"))


def bounds(namespace: Namespace) -> Steps[list[BoundedQueue]]:
    """Return the bounded queues, by name, each with how many processes wait that nobody has claimed yet."""
    found: dict[str, BoundedQueue] = {}
    for partition in range(namespace.partitions):
        for queue, (text, waiting) in (yield from _bounds_in(partition)).items():
            revision, most, declared = (*text.split(" "), "", "")[:3]
            before = found.get(queue)
            found[queue] = BoundedQueue(
                QueueBound(queue, int(most) if most else None, int(revision)),
                waiting + (before.waiting if before else 0),
                declared or (before.declared_otherwise if before else ""),
            )
    return [found[queue] for queue in sorted(found)]


def _bounds_in(partition: int) -> Call[Mapping[str, tuple[str, int]]]:
    return Call("read_bounds", partition, [], _read, word=b"BOUNDS")


def _read(reply: list[bytes]) -> Mapping[str, tuple[str, int]]:
    return {
        queue.decode(): (text.decode(), int(waiting))
        for queue, text, waiting in zip(reply[1::3], reply[2::3], reply[3::3], strict=True)
    }


def _bounded(reply: list[Any]) -> tuple[int, str]:
    match reply[0]:
        case b"BOUNDED":
            return int(reply[1]), reply[2].decode()
        case b"TOO_MANY":
            raise SettingsError(f"expected at most {MOST_BOUNDED} queues to be bounded, got one more")
    raise refusal("", reply)
