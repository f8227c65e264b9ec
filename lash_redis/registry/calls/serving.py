"""Which lanes are served by workers that live. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.lanes import plain_lane
from lash_redis.registry.calls.call import ATTEMPTS, Call, Namespace
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.service import LIVING_MS, LaneService


def served(
    _: Namespace, partition: int, lanes: Sequence[str], *, attempts: int = ATTEMPTS
) -> Call[dict[str, LaneService]]:
    """Return what the workers that live say of lanes in a partition, by lane; of 500 lanes at most.

    Args:
        partition: where the rows stand.
        lanes: the lanes, with the mark of rows that run alone or without it.
        attempts: how often to ask while no answer comes.
    """
    asked = list(dict.fromkeys(map(plain_lane, lanes)))[:MAX_BATCH]

    def decode(reply: list[Any]) -> dict[str, LaneService]:
        if reply[0] != b"SERVED":
            raise refusal("", reply)
        lists = int(reply[1])
        return {
            lane: LaneService(lane, lists, how == b"1", how in (b"1", b"2"), plain_lane(near.decode()))
            for lane, how, near in zip(asked, reply[2::2], reply[3::2], strict=True)
        }

    return Call("served", partition, [LIVING_MS, *asked], decode, attempts=attempts)
