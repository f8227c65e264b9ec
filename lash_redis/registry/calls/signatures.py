"""The signatures of tasks that stand in a namespace, and the lanes that have rows written for them. Pure (rule 9.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from lash_redis.core.checks import MAX_BATCH
from lash_redis.registry.calls.batch_claims import name_lanes
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.served_lanes import ServedLanes


class _LanesPage(msgspec.Struct, frozen=True):
    """Lanes with the parameters of their signatures (empty: nobody has named them)."""

    is_list_known: bool
    beginnings_read: int
    lanes: dict[str, bytes]


def name_signatures(_: Namespace, partition: int, signatures: Mapping[str, bytes]) -> Call[None]:
    """Store the parameters of some signatures, at most 500, under their digests in one partition."""
    args: list[Argument] = [each for digest, parameters in signatures.items() for each in (digest, parameters)]
    return Call("name_signatures", partition, args, lambda _: None, word=b"NAMED")


def signatures_named(namespace: Namespace, partitions: Iterable[int], signatures: Mapping[str, bytes]) -> Steps[None]:
    """Store signatures in those partitions in which this client has not stored them yet."""
    uuid = namespace.uuid  # another server, or the same one after a flush, knows none of them
    for partition in partitions:
        new = {digest: data for digest, data in signatures.items() if (uuid, partition, digest) not in namespace.named}
        if new:
            yield from name_signatures(namespace, partition, new)
            namespace.named.update((uuid, partition, digest) for digest in new)


def filled_lanes(
    namespace: Namespace, partition: int, served: ServedLanes, beginnings: Sequence[str]
) -> Steps[dict[str, bytes]]:
    """Return the lanes of a partition that have rows and begin so, each with the parameters of its signature.

    It also notes that a worker lives which serves a list of lanes, and names that list where it is not known.

    Args:
        namespace: where.
        partition: its number.
        served: the lanes that the worker serves.
        beginnings: ``queue|task|``, or whole lanes.
    """
    found: dict[str, bytes] = {}
    left, after, is_list_known = list(beginnings), "", False
    while True:
        asked = left[:MAX_BATCH]
        call = Call("other_lanes", partition, [served.name, after, MAX_BATCH, *asked], _page, word=b"LANES")
        page = yield from call
        found |= page.lanes
        is_list_known = is_list_known or page.is_list_known
        left = left[page.beginnings_read :]
        if not left:
            break
        after = "" if page.beginnings_read == len(asked) else list(page.lanes)[-1]
    if not is_list_known:
        for at in range(0, len(served.lanes), MAX_BATCH):
            yield from name_lanes(namespace, partition, served.name, served.lanes[at : at + MAX_BATCH])
    return found


def _page(reply: list[Any]) -> _LanesPage:
    lanes = {lane.decode(): parameters for lane, parameters in zip(reply[3::2], reply[4::2], strict=True)}
    return _LanesPage(reply[1] == b"1", int(reply[2]), lanes)
