"""Calls about leases: claim, reclaim, start, renew, release (design, section 4). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.core.checks import MAX_BATCH, checked_int, checked_ttl
from lash_redis.core.errors import SettingsError
from lash_redis.core.lanes import MAX_LANES
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Acquired, Busy, ProcessLease, ProcessRecord
from lash_redis.core.options import ProcessOptions
from lash_redis.core.timing import random_token
from lash_redis.registry.answers import ClaimedBatch, ClaimedRow, RenewedRow
from lash_redis.registry.call import Argument, Call, Routing, attempt_of, checked_batch, one_owner, owner_args
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.refusals import lease_in, refusal


class LeaseCalls(Routing):
    """Leases, one at a time and in batches. Tokens are made here, before anything is sent."""

    def claim(self, process_id: str, owner: LeaseOwner, ttl_ms: int) -> Call[Acquired | Busy]:
        """Claim one process."""
        args: list[Argument] = [
            self.uuid, process_id, *owner_args(owner), random_token(), checked_ttl(ttl_ms), ProcessOptions().loss_limit
        ]  # fmt: skip
        return Call("claim", self.partition_of(process_id), args, lambda reply: _granted(process_id, reply))

    def reclaim(self, process_id: str, owner: LeaseOwner, observed: ProcessLease, ttl_ms: int) -> Call[Acquired | Busy]:
        """Take a live lease from the observed holder, if that one is provably dead for ``owner``."""
        seen: list[Argument] = [*owner_args(observed.owner), observed.token, observed.fencing_token]
        proven = "1" if observed.owner.is_definitely_dead_for(owner) else "0"
        args: list[Argument] = [
            self.uuid,
            process_id,
            *owner_args(owner),
            random_token(),
            checked_ttl(ttl_ms),
            ProcessOptions().loss_limit,
            *seen,
            proven,
        ]
        return Call("reclaim", self.partition_of(process_id), args, lambda reply: _granted(process_id, reply))

    def claim_next(  # noqa: PLR0917 - in the script's order
        self,
        partition: int,
        owner: LeaseOwner,
        number: int,
        count: int,
        ttl_ms: int,
        queues: Sequence[tuple[str, Sequence[str]]],
    ) -> Call[ClaimedBatch]:
        """Claim and start up to ``count`` rows. Send the same call again until it is answered, then the next number."""
        checked_int("count", count, at_least=0, at_most=MAX_BATCH)
        checked_int("lanes in a claim", sum(len(lanes) for _, lanes in queues), at_least=0, at_most=MAX_LANES)
        if len({queue for queue, _ in queues}) != len(queues):
            raise SettingsError(f"expected the queues of a claim to be distinct, got {[queue for queue, _ in queues]}")
        args: list[Argument] = [
            self.uuid, *owner_args(owner), number, count, checked_ttl(ttl_ms), f"{random_token()}."
        ]  # fmt: skip
        for queue, lanes in queues:
            args += (queue, len(lanes), *lanes)
        return Call("claim_next", partition, args, _claimed)

    def start(self, lease: ProcessLease) -> Call[ProcessRecord]:
        """Record that user code begins under this lease."""
        args: list[Argument] = [lease.process_id, owner_digest(lease.owner), lease.token, lease.fencing_token]
        return self.about(lease.process_id, "start", args, lease)

    def renew(self, partition: int, leases: Sequence[ProcessLease], ttl_ms: int) -> Call[list[int | None]]:
        """Renew leases of one owner; the answer is each one's new expiry, or None for a lost one."""
        args = self._leases(leases)
        args.insert(1, checked_ttl(ttl_ms))

        def decode(reply: list[Any]) -> list[int | None]:
            return [int(expires) if expires else None for expires in reply[1:]]

        return Call("renew", partition, args, decode)

    def renew_owned(
        self, partition: int, owners: Sequence[str], ttl_ms: int, page: tuple[str, str, str] = ("1", "-inf", "0")
    ) -> Call[tuple[list[RenewedRow], tuple[str, str, str] | None]]:
        """Renew one page of all live leases that these owners (digests) hold."""

        def decode(reply: list[Any]) -> tuple[list[RenewedRow], tuple[str, str, str] | None]:
            rows = [
                RenewedRow(reply[i].decode(), reply[i + 1].decode(), reply[i + 2].decode(), int(reply[i + 3]),
                           reply[i + 4], reply[i + 5])
                for i in range(4, len(reply), 6)
            ]  # fmt: skip
            following = (reply[1].decode(), reply[2].decode(), reply[3].decode()) if reply[1] else None
            return rows, following

        return Call("renew_owned", partition, [checked_ttl(ttl_ms), *page, *owners], decode)

    def release(self, partition: int, leases: Sequence[ProcessLease]) -> Call[list[bool]]:
        """Give leases of one owner back; the answer says which were still that owner's."""
        return Call("release", partition, self._leases(leases), lambda reply: [flag == b"1" for flag in reply[1:]])

    def _leases(self, leases: Sequence[ProcessLease]) -> list[Argument]:
        checked_batch("leases", [attempt_of(lease) for lease in leases])
        args: list[Argument] = [one_owner(leases)]
        for lease in leases:
            args += (lease.process_id, lease.token, lease.fencing_token)
        return args


def _granted(process_id: str, reply: list[Any]) -> Acquired | Busy:
    match reply[0]:
        case b"ACQUIRED":
            return Acquired(lease_in(process_id, reply))
        case b"BUSY":
            return Busy(lease_in(process_id, reply))
    raise refusal(process_id, reply)


def _claimed(reply: list[Any]) -> ClaimedBatch:
    if reply[0] == b"STALE":
        return ClaimedBatch([], stale=True)
    if reply[0] != b"CLAIMED":
        raise refusal("", reply)
    width = len(ClaimedRow.__struct_fields__)
    rows = [ClaimedRow.read(reply[i : i + width]) for i in range(3, len(reply), width)]
    return ClaimedBatch(rows, int(reply[1]), int(reply[2]))
