"""Numbered claims of many rows at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.registry.answers import BatchClaim, ClaimedBatch, ClaimedRow
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.calls.owners import owner_args
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.calls.ticks import due_schedules
from lash_redis.registry.service import LIVING_MS
from lash_redis.registry.unreadable import tell_unreadable

_BEFORE_ROWS: Final = 6  # values of the answer before its rows
_WIDTH: Final = 6  # values of a row in the answer


def claim_next(namespace: Namespace, claim: BatchClaim, *, attempts: int = 1) -> Steps[ClaimedBatch]:
    """Claim and start rows; the same claim sent again hands out the same rows (rule 8.5).

    The first claim in a partition names the lanes, which are stored there for all workers that serve the same.

    Raises:
        RegistryUnavailable: no answer: send the same claim again.
    """
    served = claim.served
    args = [*claim_args(claim), *(claim.queues or served.queues)]
    call = Call("claim_next", claim.partition, args, claimed, attempts=attempts)
    batch = yield from call
    if batch is None:
        for at in range(0, len(served.lanes), MAX_BATCH):
            yield from name_lanes(namespace, claim.partition, served.name, served.lanes[at : at + MAX_BATCH])
        batch = yield from call
    if batch is None:
        raise RegistryUnavailable("claim_next", "the list of lanes was forgotten meanwhile", maybe_applied=False)
    return batch


def claim_args(claim: BatchClaim) -> list[Argument]:
    """Return what a claim sends before the names of its queues."""
    me, owner = owner_args(claim.owner)
    return [
        me, owner if claim.remembers else "", claim.number, claim.count, claim.ttl_ms, claim.token_stem,
        int(claim.alone), int(claim.bound), claim.takes, int(claim.remembers), claim.served.name,
    ]  # fmt: skip


def name_lanes(_: Namespace, partition: int, name: str, lanes: Sequence[str]) -> Call[None]:
    """Store a part of a list of lanes, at most 500, under the name of the whole list (see ``ServedLanes``)."""
    return Call("name_lanes", partition, [name, *lanes], lambda _: None, word=b"NAMED")


def close_claims(
    _: Namespace,
    partition: int,
    owner: LeaseOwner,
    number: int,
    queues: Sequence[str] = (),
    *,
    list_name: str = "",
    lives_on_ms: int = LIVING_MS,
) -> Call[None]:
    """Make every batch claim of an owner with a lower number stale (rule 8.5), and list it as idle no more.

    Args:
        partition: where it claimed.
        owner: whose claims they are.
        number: higher than that of every claim that it sent.
        queues: those that it served.
        list_name: of the lanes that it served, if it leaves; else empty.
        lives_on_ms: for how long that list still counts as one of a worker that lives, at most, unless another worker
            with this list calls.
    """

    def decode(reply: list[Any]) -> None:
        if reply[0] not in (b"CLOSED", b"STALE"):
            raise refusal("", reply)

    args: list[Argument] = [*owner_args(owner), number, list_name, max(LIVING_MS + 1 - lives_on_ms, 0), *queues]
    return Call("close_claims", partition, args, decode)


def claimed(reply: list[Any]) -> ClaimedBatch | None:
    """Return what was handed out; None if the partition does not know the list of lanes."""
    match reply[0]:
        case b"STALE":
            return ClaimedBatch([], stale=True)
        case b"UNNAMED":
            return None
        case b"CLAIMED":
            notes = [note.decode() for note in reply[5]]
            due_at_ms, retries = _read_notes(notes)
            rows = _read_rows(reply)
            if retries:
                rows = [
                    msgspec.structs.replace(row, retries=retries[row.process_id]) if row.process_id in retries else row
                    for row in rows
                ]
            return ClaimedBatch(
                rows,
                int(reply[1]),
                int(reply[2]),
                reply[3] != b"0",
                reply[4] == b"1",
                is_shared=reply[3] == b"2",
                due_at_ms=due_at_ms,
                schedules=due_schedules(notes),
            )
    raise refusal("", reply)


def _read_rows(reply: list[Any]) -> list[ClaimedRow]:
    """Return the rows of an answer. Each lane is read once: nearly all of a batch are of one."""
    lanes, values = dict[bytes, str](), iter(reply)
    for _ in range(_BEFORE_ROWS):
        next(values)
    rows = []
    for process_id, token, fence, name, disposition, content in zip(*[values] * _WIDTH, strict=True):
        lane = lanes.get(name) or lanes.setdefault(name, name.decode())
        rows.append(ClaimedRow(process_id.decode(), token.decode(), int(fence), lane, disposition, content))
    return rows


def _read_notes(notes: list[str]) -> tuple[int | None, dict[str, int]]:
    """Tell of each row that was left as it is; return when to claim again, and how often rows were tried again."""
    due_at_ms, retries = None, dict[str, int]()
    for note in notes:
        word, is_about, detail = note.partition(" ")  # no id has a space
        if not is_about:
            tell_unreadable("row", word, "it stands in a lane, and does not say how to run it")
        elif word == "due":
            due_at_ms = int(detail)
        elif word == "tried":
            number, _, process_id = detail.partition(" ")
            retries[process_id] = int(number)
    return due_at_ms, retries
