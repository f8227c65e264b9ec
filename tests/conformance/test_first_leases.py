"""A batch claim plans the first leases of plain rows together: they are those that any other row gets."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lash_redis.core.outcomes import Success
from lash_redis.registry.answers import ClaimedBatch, TerminalFact
from lash_redis.registry.keys import owner_digest, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, OWNER_BOUND, RERUNNABLE, batch_claim, ids_of, leases_of, work

# What a row has beside the fields of a plain one. With the fence that stands for none it is leased as one that somebody
# held before; the other ways differ in how the claim reads it.
BESIDE: tuple[dict[str, str], ...] = ({}, {"w": "+here"}, {"ll": "3"}, {"w": "+here", "ll": "3"}, {"fe": "0"})
# What makes a row another one than a plain one: None stands for what another lane has.
NOT_PLAIN: tuple[dict[str, str | None], ...] = (
    {"fe": "9000000000000"}, {"w": "+here", "fe": "9000000000000"}, {"fs": "another"}, {"xp": "1"}, {"ph": "u"},
    {"sq": "x"}, {"d": "?"}, {"ln": None},
)  # fmt: skip
REGISTERED = {b"d", b"ln", b"in", b"at", b"sq", b"cd", b"w", b"ll"}


@pytest.mark.parametrize("seed", range(5))
async def test_rows_of_all_kinds_are_leased_alike(
    registry: ProcessRegistry, client: Any, partitions: int, seed: int
) -> None:
    """In one batch rows, indexes and keys say the same of each, whichever way the claim went."""
    pick, k = random.Random(seed), partition_prefix(registry.namespace, 0)
    chosen = ids_of(60, 0, partitions)
    for id_ in chosen:
        inputs = ("x" * pick.choice((1, 100)),)
        given = work(id_, pick.choice((RERUNNABLE, OWNER_BOUND)), *inputs, chosen_id=pick.random() < 0.3)
        await registry.register_many([given])
        if beside := pick.choice(BESIDE):
            await client.hset(f"{k}:p:{id_}", mapping=beside)
    before = {id_: await client.hgetall(f"{k}:p:{id_}") for id_ in chosen}
    handed_out: list[str] = []

    while batch := await claimed(registry, pick):
        claim, answer = batch
        for number, row in enumerate(answer.rows, 1):
            fields = await client.hgetall(f"{k}:p:{row.process_id}")
            assert {name: fields.pop(name, None) for name in REGISTERED} == {
                name: before[row.process_id].get(name) for name in REGISTERED
            }
            now, me = b"%d" % answer.claimed_at_ms, owner_digest(claim.owner).encode()
            token = f"{claim.token_stem}{number}"
            expected = {b"ph": b"l", b"ho": me, b"tk": token.encode(), b"fe": now, b"fa": now}
            assert fields == {**expected, b"ex": b"%d" % answer.expires_at_ms}
            assert (row.token, row.fence) == (token, answer.claimed_at_ms)
            assert await client.get(f"{k}:l:{row.process_id}") == token.encode()
            assert 0 < await client.pttl(f"{k}:l:{row.process_id}") <= claim.ttl_ms
            assert await client.zscore(f"{k}:leases", row.process_id) == answer.expires_at_ms
            assert await client.zscore(f"{k}:of:{me.decode()}", row.process_id) == claim.number * 1000 + number
        handed_out += [row.process_id for row in answer.rows]
        assert (await registry.claim_next(claim)).rows == answer.rows
        await give_up(registry, pick, answer, claim.owner)

    assert handed_out == chosen
    assert await client.exists(f"{k}:lanes") == 0


async def claimed(registry: ProcessRegistry, pick: random.Random) -> tuple[Any, ClaimedBatch] | None:
    """Return a claim of some rows and what it was answered; None if none are left."""
    claim = batch_claim(registry, pick.choice((ADA, BOB)), count=pick.choice((1, 3, 12)))
    batch = await registry.claim_next(claim)
    return (claim, batch) if batch.rows else None


async def give_up(registry: ProcessRegistry, pick: random.Random, batch: ClaimedBatch, owner: Any) -> None:
    """End some of the rows, so that others stand in the indexes when the next claim comes."""
    state, data = registry.encoded(Success(1))
    held = [lease for lease in leases_of(batch, owner) if pick.random() < 0.7]
    if held:
        await registry.terminalize_many([TerminalFact(lease, state, data) for lease in held])


@pytest.mark.parametrize("change", NOT_PLAIN, ids=repr)
async def test_a_row_that_is_not_plain_is_looked_at_closely(
    registry: ProcessRegistry, client: Any, partitions: int, change: dict[str, str | None]
) -> None:
    """As each is whose id was chosen: it is handed out, or not, as that one is, and both have the same fields then."""
    k = partition_prefix(registry.namespace, 0)
    *both, other = ids_of(3, 0, partitions)
    await registry.register_many([work(other, queue="other")])
    changed = {name: value or await client.hget(f"{k}:p:{other}", name) for name, value in change.items()}
    for id_, is_chosen in zip(both, (False, True), strict=True):
        await registry.register_many([work(id_, OWNER_BOUND, chosen_id=is_chosen)])
        await client.hset(f"{k}:p:{id_}", mapping=changed)

    batch = await registry.claim_next(batch_claim(registry, ADA, count=2))

    fences = {row.process_id: row.fence for row in batch.rows}
    rows = [await client.hgetall(f"{k}:p:{id_}") for id_ in both]
    for row in rows:
        for beside in (b"d", b"at", b"sq", b"tk"):
            row.pop(beside, None)
    await client.flushall()  # what stood there was not sound
    assert fences.get(both[0]) == fences.get(both[1])
    assert rows[0] == rows[1]
