"""Claiming and reclaiming one process; renewing and giving back leases. Pure.

Tokens are made here, before anything is sent, so that a call that is sent again names the same attempt (rule 8.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from lash_redis.core.checks import checked_id, checked_text, checked_ttl
from lash_redis.core.errors import LeaseLost, SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Acquired, Busy, ProcessLease
from lash_redis.core.options import ProcessOptions
from lash_redis.core.struct_checks import check_types, checked_kind
from lash_redis.core.timing import random_token
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.calls.batches import batched, checked_batch
from lash_redis.registry.calls.call import ATTEMPTS, Argument, Call, Namespace, Steps
from lash_redis.registry.calls.owners import owner_args
from lash_redis.registry.calls.refusals import lease_in, refusal
from lash_redis.registry.keys import owner_digest

# Where a page of renewals begins: the position of an owner among those named, a score of its index, and how many
# members of that score were shown.
OwnedStart: TypeAlias = tuple[str, str, str]


def claim(namespace: Namespace, process_id: str, owner: LeaseOwner, ttl_ms: int) -> Call[Acquired | Busy]:
    """Claim a free or lapsed process, or extend the owner's own live lease.

    Raises:
        UnknownProcess, AlreadyTerminal: there is nothing to hold.
        AuthorityRejected: it is externally owned.
        AlreadyStarted: owner-bound work that another owner started.
        UnreadableRow: a newer release wrote it, or it is damaged.
    """
    args = _claim_args(process_id, owner, ttl_ms)
    return Call("claim", namespace.partition_of(process_id), args, lambda reply: _granted(process_id, reply))


def reclaim(
    namespace: Namespace, process_id: str, owner: LeaseOwner, observed_lease: ProcessLease, ttl_ms: int
) -> Call[Acquired | Busy]:
    """Take a live lease from the observed holder, if that one is provably dead for ``owner``.

    On a free or lapsed process it is a claim. A stale observation, or no proof, answers ``Busy``.
    """
    _, token, fence = attempt_of(observed_lease)
    args = _claim_args(process_id, owner, ttl_ms)
    observed: list[Argument] = [*owner_args(observed_lease.owner), token, fence]
    proven = "1" if observed_lease.owner.is_definitely_dead_for(owner) else "0"
    return Call(
        "reclaim",
        namespace.partition_of(process_id),
        [*args, *observed, proven],
        lambda reply: _granted(process_id, reply),
    )


def _claim_args(process_id: str, owner: LeaseOwner, ttl_ms: int) -> list[Argument]:
    limit = ProcessOptions().loss_limit  # of rows that name none
    return [process_id, *owner_args(owner), random_token(), checked_ttl(ttl_ms), limit]


def _granted(process_id: str, reply: list[Any]) -> Acquired | Busy:
    match reply[0]:
        case b"ACQUIRED":
            return Acquired(lease_in(process_id, reply))
        case b"BUSY":
            return Busy(lease_in(process_id, reply))
    raise refusal(process_id, reply)


def renew(namespace: Namespace, lease: ProcessLease, ttl_ms: int) -> Steps[ProcessLease]:
    """Move a live lease's expiry; never nearer.

    Raises:
        LeaseLost: it lapsed, or was replaced.
    """
    (expires,) = yield from renew_many(namespace, [lease], ttl_ms)
    if expires is None:
        raise LeaseLost(lease.process_id, lease)
    return msgspec.structs.replace(lease, expires_at_ms=expires)


def renew_many(namespace: Namespace, leases: Sequence[ProcessLease], ttl_ms: int) -> Steps[list[int | None]]:
    """Renew leases of one owner; return each one's new expiry, or None for a lost one."""

    def call(partition: int, batch: Sequence[ProcessLease]) -> Call[list[int | None]]:
        owner, *attempts = leases_args(batch)
        args = [owner, checked_ttl(ttl_ms), *attempts]
        return Call("renew", partition, args, lambda reply: [int(each) if each else None for each in reply[1:]])

    return batched(namespace, leases, _id_of, call)


def renew_owned(_: Namespace, partition: int, owners: Sequence[str], ttl_ms: int) -> Steps[list[RenewedRow]]:
    """Renew every live lease that these owners (digests) hold in a partition; what is not listed was not.

    Raises:
        NamespaceMismatch: the partition's header is gone or changed.
    """
    renewed: list[RenewedRow] = []
    start: OwnedStart | None = ("1", "-inf", "0")
    while start is not None:
        rows, start = yield from _renew_owned_page(partition, owners, ttl_ms, start)
        renewed += rows
    return renewed


def _renew_owned_page(
    partition: int, owners: Sequence[str], ttl_ms: int, start: OwnedStart
) -> Call[tuple[list[RenewedRow], OwnedStart | None]]:
    """Renew one page; the answer is its rows, and where the next page begins (None at the end).

    It is sent once: whoever renews comes again soon, and then renews the leases that are held by then.
    """

    def decode(reply: list[Any]) -> tuple[list[RenewedRow], OwnedStart | None]:
        width = len(RenewedRow.__struct_fields__)
        rows = [RenewedRow.read(reply[i : i + width]) for i in range(4, len(reply), width)]
        following = (reply[1].decode(), reply[2].decode(), reply[3].decode()) if reply[1] else None
        return rows, following

    args: list[Argument] = [checked_ttl(ttl_ms), *start, *owners]
    return Call("renew_owned", partition, args, decode, word=b"RENEWED", attempts=1)


def release(namespace: Namespace, lease: ProcessLease) -> Steps[None]:
    """Give a lease back; a stale one changes nothing."""
    yield from release_many(namespace, [lease])


def release_many(
    namespace: Namespace, leases: Sequence[ProcessLease], *, attempts: int = ATTEMPTS
) -> Steps[list[bool]]:
    """Give leases of one owner back; return which were still that owner's."""

    def call(partition: int, batch: Sequence[ProcessLease]) -> Call[list[bool]]:
        args = leases_args(batch)
        return Call("release", partition, args, lambda reply: [flag == b"1" for flag in reply[1:]], attempts=attempts)

    return batched(namespace, leases, _id_of, call)


def _id_of(lease: ProcessLease) -> str:
    return attempt_of(lease)[0]


def leases_args(leases: Sequence[ProcessLease]) -> list[Argument]:
    """Return the arguments that name leases of one owner: its digest, and for each lease id, token and fence."""
    attempts = [attempt_of(lease) for lease in leases]
    checked_batch("leases", attempts)
    return [one_owner(leases), *(arg for attempt in attempts for arg in attempt)]


def attempt_of(lease: ProcessLease) -> tuple[str, str, int]:
    """Return what names one attempt: process id, token and fencing token.

    Raises:
        SettingsError: it is no lease, or one whose fields have other types.
    """
    if type(lease) is not ProcessLease:
        checked_kind("lease", lease, ProcessLease)
    process_id, token, fence = lease.process_id, lease.token, lease.fencing_token
    is_text = type(process_id) is str and type(token) is str and process_id.isascii() and token.isascii()
    if not is_text or type(fence) is not int:
        checked_id("process id", process_id)
        check_types(lease)
        checked_text("token of a lease", token, 256)
    return process_id, token, fence


def one_owner(leases: Sequence[ProcessLease]) -> str:
    """Return the digest of the owner of all these leases.

    Raises:
        SettingsError: they are of several owners.
    """
    owners = [lease.owner for lease in leases]
    if owners and type(owners[0]) is LeaseOwner and owners.count(owners[0]) == len(owners):  # as those of one worker
        return owner_digest(owners[0])
    digests = {owner_digest(checked_kind("owner of a lease", owner, LeaseOwner)) for owner in owners}
    if len(digests) != 1:
        raise SettingsError(f"expected the leases of a batch to be one owner's, got {len(digests)} owners")
    return digests.pop()
