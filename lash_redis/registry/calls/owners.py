"""Owners: how they are named to scripts, the record of their deaths, and those that hold rows. Pure."""

from __future__ import annotations

from typing import Any, Final

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.errors import NamespaceMismatch
from lash_redis.core.first_error import FirstError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.answers import Death, Holder
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.codec import decode_owner, decode_values, encode_owner, encode_values
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.machines import host_digest
from lash_redis.registry.unreadable import readable

LISTS_AFTER_MS: Final = 3600 * 1000  # a list of lanes without a call is forgotten; whoever serves it names it again
_MOST_PAGES: Final = 20  # of owners that one pass forgets in a partition


def owner_args(owner: LeaseOwner) -> tuple[str, bytes]:
    """Return the two arguments that name an owner to a script: its digest, and the owner whole.

    Raises:
        SettingsError: it is no owner.
    """
    checked_kind("owner", owner, LeaseOwner)
    return owner_digest(owner), encode_owner(owner)


def record_death(namespace: Namespace, owner: LeaseOwner, death: Death) -> Steps[None]:
    """Record, in every partition, that this incarnation was seen to end (rule 2.5).

    Raises:
        NamespaceMismatch: the header of a partition is gone or changed; the death stands in all others.
    """
    mismatch: NamespaceMismatch | None = None
    for partition in range(namespace.partitions):
        try:
            yield from _death_in(partition, owner, death)
        except NamespaceMismatch as error:
            mismatch = error
    if mismatch is not None:
        raise mismatch


def _death_in(partition: int, owner: LeaseOwner, death: Death) -> Call[Death]:
    """Record a death in one partition; the answer is the death that stands there."""
    args: list[Argument] = [*owner_args(owner), encode_values(death.status, death.by)]
    return Call("record_death", partition, args, lambda reply: Death(*decode_values(reply[1])), word=b"DONE")


def holders(
    _: Namespace, partition: int, after: str = "", limit: int = MAX_BATCH, *, near: LeaseOwner | None = None
) -> Call[list[Holder]]:
    """Return one page of the owners that have unsettled rows in a partition, after a digest.

    With ``near`` they are those whose death is recorded, or that may be proven dead by this claimant: those of its
    machine.
    """
    host = "*" if near is None else host_digest(near)
    return Call("holders", partition, [after, limit, host], _holders_in)


def holder(_: Namespace, partition: int, digest: str) -> Call[Holder | None]:
    """Return one owner that has unsettled rows in a partition, by its digest; None if it has none."""
    return Call("holder", partition, [digest], lambda reply: next(iter(_holders_in(reply)), None))


def _holders_in(reply: list[Any]) -> list[Holder]:
    return [
        Holder(digest.decode(), decode_owner(digest, owner), _death_of(digest.decode(), death))
        for digest, owner, death in zip(reply[1::3], reply[2::3], reply[3::3], strict=True)
    ]


def _death_of(digest: str, data: bytes) -> Death | None:
    return readable("death", digest, lambda: Death(*decode_values(data)[:2])) if data else None


def forget_owners(namespace: Namespace, age_ms: int, lists_age_ms: int = LISTS_AFTER_MS) -> Steps[int]:
    """Forget owners without unsettled rows, and lists of lanes, of which no call came for so long.

    Return how many owners; one pass forgets at most 10,000 in each partition.

    Args:
        namespace: whose.
        age_ms: how long ago the last call of an owner was, by the server's clock, ms.
        lists_age_ms: the same of a list of lanes.
    """
    forgotten, first_error = 0, FirstError()
    for partition in range(namespace.partitions):
        with first_error.kept():
            for _ in range(_MOST_PAGES):
                number, may_have_more = yield from _forget_page(partition, age_ms, lists_age_ms)
                forgotten += number
                if not may_have_more:
                    break
    first_error.raise_it()
    return forgotten


def _forget_page(partition: int, age_ms: int, lists_age_ms: int) -> Call[tuple[int, bool]]:
    """Forget one page of a partition's owners; the answer is how many, and whether there may be more."""
    args = [age_ms, MAX_BATCH, lists_age_ms]
    return Call("forget_owners", partition, args, lambda reply: (int(reply[1]), reply[2] == b"1"))
