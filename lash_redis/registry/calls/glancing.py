"""What a partition has anything for, in one read of constant cost. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from lash_redis.registry.calls.call import Call, Namespace
from lash_redis.registry.keys import ASKED, LEASES


class Glance(msgspec.Struct, frozen=True):
    """For what a partition's indexes have anything.

    Attributes:
        work: a lane has rows, or something was to become due by now.
        holders: owners have unsettled rows.
        lapsed: a lease has ended.
        asked: a row has an abandon request.
    """

    work: bool
    holders: bool
    lapsed: bool
    asked: bool


def glance(_: Namespace, partition: int) -> Call[Glance]:
    """Say for what a partition's indexes have anything: a read of constant cost, whatever stands in them."""

    def decode(reply: list[Any]) -> Glance:
        return Glance(*(each == b"1" for each in reply[1:]))

    return Call("glance", partition, [LEASES, ASKED], decode, word=b"GLANCED")
