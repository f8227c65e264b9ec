"""Which lanes are served by workers that live. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.lanes import plain_lane, scopes_of
from lash_redis.registry.calls.call import ATTEMPTS, Argument, Call, Namespace, Steps
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.registry.service import LIVING_MS, LaneService, Living


def served(
    _: Namespace, partition: int, lanes: Sequence[str], *, attempts: int = ATTEMPTS
) -> Steps[dict[str, LaneService]]:
    """Return what the workers that called within the last minute say of lanes in a partition, by lane.

    Args:
        partition: where the rows stand.
        lanes: the lanes, with the mark of rows that run alone or without it.
        attempts: how often to ask while no answer comes.
    """
    left = list(dict.fromkeys(map(plain_lane, lanes)))
    found: dict[str, LaneService] = {}
    while left:
        asked = left[:MAX_BATCH]
        reply = yield from Call(
            "served", partition, [LIVING_MS, *asked], list[bytes], word=b"SERVED", attempts=attempts
        )
        lists, answers = int(reply[1]), reply[2:]
        for lane, how in zip(asked, answers, strict=False):  # with many lists it answers for a part of the lanes
            known = how in (b"1", b"2")
            found[lane] = LaneService(lane, lists, how == b"1", known, is_certain=how != b"?")
        left = left[len(answers) :]
    return found


def service_of(namespace: Namespace, process_id: str, lane: str, *, attempts: int = ATTEMPTS) -> Steps[LaneService]:
    """Return what they say of one process's lane, and what is near it if nobody declares its task.

    Args:
        namespace: where.
        process_id: whose lane it is.
        lane: with the mark of rows that run alone or without it.
        attempts: how often to ask while no answer comes.
    """
    partition = namespace.partition_of(process_id)
    (service,) = (yield from served(namespace, partition, [lane], attempts=attempts)).values()
    if service.is_unserved and service.lists:
        found = yield from near(namespace, partition, service.lane, attempts=attempts)
        service = msgspec.structs.replace(service, near=found)
    return service


def near(_: Namespace, partition: int, lane: str, *, attempts: int = ATTEMPTS) -> Call[str]:
    """Return a lane that is served, and like one that is not; empty if there is none."""
    args: list[Argument] = [LIVING_MS, plain_lane(lane)]
    return Call(
        "near", partition, args, lambda reply: reply[1].decode(errors="replace"), word=b"NEAR", attempts=attempts
    )


def living(_: Namespace, partition: int) -> Call[Living]:
    """Return how many owners called a partition within the last minute, and the queues that workers served."""
    return Call("living", partition, [LIVING_MS], _living, word=b"LIVING")


def _living(reply: list[bytes]) -> Living:
    _, owners, *queues = reply
    return Living(int(owners), tuple(sorted({queue.decode(errors="replace") for queue in queues})))


def waiting(_: Namespace, partition: int, served: ServedLanes) -> Steps[tuple[str, int]]:
    """Return a row that waits in a partition and that a worker with these lanes would run, and how many are delayed.

    Rows of paused queues and tasks do not wait for anybody; those of keys that may not run now do. The id is empty if
    none waits.
    """
    keyed = [lane for lane in served.lanes if scopes_of(lane)]
    process_id, delayed = "", 0
    for at in range(0, max(1, len(keyed)), MAX_BATCH):
        args: list[Argument] = [served.name, *keyed[at : at + MAX_BATCH]]
        process_id, delayed = yield from Call("waiting", partition, args, _waiting, word=b"WAITING")
        if process_id:
            break
    return process_id, delayed


def _waiting(reply: list[bytes]) -> tuple[str, int]:
    return reply[1].decode(errors="replace"), int(reply[2])
