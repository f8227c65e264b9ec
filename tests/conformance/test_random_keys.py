"""Random transitions of keyed lanes: no slot leaks or is exceeded, and no key that may run is forgotten (rule 9.12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any, Final

import pytest

from lash_redis.core.errors import LashError
from lash_redis.core.lanes import lane, scopes_of
from lash_redis.core.model import ProcessLease, ProcessStarted
from lash_redis.core.outcomes import Success
from lash_redis.core.places import LEASED
from lash_redis.core.policies import Policy
from lash_redis.registry.answers import ClaimedBatch
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    batch_claim,
    cancel,
    leases_of,
    settled,
    work,
)
from tests.look import row_of
from tests.soundness import assert_sound, keyspace

SCOPES: Final = (",", "a,", "a,all", ",all")
TASKS: Final = ("one", "two")
LANES: Final = tuple(lane("default", task, "", scopes) for task in TASKS for scopes in SCOPES)
STEPS: Final = 120
EVERY: Final = 6


class World:
    """What happens to a registry, by chance."""

    def __init__(self, registry: ProcessRegistry, client: Any, seed: int) -> None:
        self.registry, self.client, self.chance = registry, client, Random(seed)
        self.leases: list[ProcessLease] = []
        self.ids: list[str] = []
        self.limits = {"a": 2, "all": 3}
        self.revision = 0
        self.sent: list[Callable[[], Awaitable[Any]]] = []

    async def send(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Send a call, and now and then twice, or an old one again after it; what is refused changes nothing."""
        self.sent.append(call)
        result = None
        with suppress(LashError):
            result = await call()
        if self.chance.random() < 0.2:
            with suppress(LashError):
                await self.chance.choice((call, self.chance.choice(self.sent)))()
        return result

    async def step(self) -> None:
        """Do one thing."""
        await self.chance.choices(
            (self.register, self.claim, self.end, self.give_up, self.lose, self.claim_one, self.cancel, self.policy),
            (8, 8, 6, 3, 3, 2, 1, 1),
        )[0]()

    async def register(self) -> None:
        """Register some work."""
        rows = []
        for _ in range(self.chance.randint(1, 3)):
            self.ids.append(f"p{len(self.ids)}")
            rows.append(
                work(
                    self.ids[-1],
                    self.chance.choice((RERUNNABLE, OWNER_BOUND)),
                    task=self.chance.choice(TASKS),
                    key=self.chance.choice(("x", "y", "a b|alone")),
                    scopes=self.chance.choice(SCOPES),
                    cost=self.chance.choice((1, 1, 2)),
                    priority=self.chance.choice((0, 0, 1)),
                    loss_limit=9,
                )
            )
        await self.send(lambda: self.registry.register_many(rows))

    async def claim(self) -> None:
        """Claim from some lanes."""
        lanes = self.chance.sample(LANES, self.chance.randint(1, len(LANES)))
        alone = self.chance.random() < 0.7
        claim = batch_claim(
            self.registry, ADA, count=self.chance.randint(1, 4), served=(("default", tuple(lanes)),), alone=alone
        )
        looked: list[bool] = []

        async def claim_and_look() -> ClaimedBatch:
            batch = await self.registry.claim_next(claim)
            if not looked:  # else it is sent again, and hands out nothing
                looked.append(True)
                await self.none_is_exceeded_by([each.process_id for each in batch.rows])
            return batch

        batch = await self.send(claim_and_look)
        if batch:
            self.leases += leases_of(batch, ADA)

    async def none_is_exceeded_by(self, claimed: list[str]) -> None:
        """Look whether what was handed out just now had room in each of its limits."""
        k = partition_prefix(self.registry.namespace, 0)
        for row in [await row_of(self.registry, each) for each in claimed]:
            scopes = scopes_of(row.lane).split(",")
            for scope, key in zip(scopes, (row.key, ""), strict=True):
                policy = await self.client.hget(f"{k}:policies", scope)
                limit = int(policy.split()[2]) if policy else 0
                taken = await self.client.zscore(f"{k}:slots:{scope} {key}", "")
                assert not (scope and limit) or taken <= limit, (row.process_id, scope, taken, limit)

    def some_lease(self) -> ProcessLease | None:
        """Return a lease that was granted, and forget it."""
        return self.leases.pop(self.chance.randrange(len(self.leases))) if self.leases else None

    async def end(self) -> None:
        """End some work."""
        if lease := self.some_lease():
            await self.send(lambda: self.registry.complete(lease, Success(1)))

    async def give_up(self) -> None:
        """Give some work back."""
        if lease := self.some_lease():
            give = self.chance.choice((self.registry.release_many, self.registry.unstart_many))
            await self.send(lambda: give([lease]))

    async def lose(self) -> None:
        """Carry out the verdict on the work of an owner that was lost."""
        if lease := self.some_lease():
            await self.send(lambda: self.swept(lease.process_id))

    async def swept(self, process_id: str) -> None:
        """Do what the verdict says of the row as it is now."""
        row = await self.registry.row(process_id)
        if row is not None and row.phase in LEASED.phases:
            started = row.disposition is OWNER_BOUND and row.starter_digest
            await settled(self.registry, process_id, "uncertain" if started else "queue", even_if_live=True)

    async def claim_one(self) -> None:
        """Claim a process by its id, or record that it was started elsewhere."""
        if not self.ids:
            return
        process_id = self.chance.choice(self.ids)
        if self.chance.random() < 0.3:
            await self.send(lambda: self.registry.record_first_started(process_id, ProcessStarted(BOB, 1)))
        else:
            claimed = await self.send(lambda: self.registry.claim(process_id, ADA, LONG_MS))
            if claimed is not None and hasattr(claimed, "lease"):
                self.leases.append(claimed.lease)

    async def cancel(self) -> None:
        """Ask that a process be cancelled."""
        if self.ids:
            process_id = self.chance.choice(self.ids)
            await self.send(lambda: self.registry.request_cancel(process_id, cancel()))

    async def policy(self) -> None:
        """Change a policy."""
        self.revision += 1
        scope = self.chance.choice(("a", "all"))
        self.limits[scope] = self.chance.randint(1, 4)
        changed = Policy(scope, scope == "a", self.limits[scope], revision=self.revision)
        await self.send(lambda: self.registry.name_policies(0, [changed]))

    async def finish_everything(self) -> list[str]:
        """Let all limits go, run what is left, and return what still waits in a lane."""
        self.revision += 1
        everything = [
            Policy("a", True, 10_000, revision=self.revision),
            Policy("all", False, 10_000, revision=self.revision),
        ]
        await self.registry.name_policies(0, everything)
        while (await self.registry.bring_due(0, 500)).next_in_ms == 0:
            pass
        while True:
            batch = await self.registry.claim_next(
                batch_claim(self.registry, ADA, count=50, served=(("default", LANES),), alone=True)
            )
            for lease in leases_of(batch, ADA):
                await self.registry.complete(lease, Success(1))
            if not batch.rows:
                return list((await self.registry.counts(0)).lanes)


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("seed", range(4))
async def test_random_transitions_leak_no_slot_and_forget_no_key(
    registry: ProcessRegistry, client: Any, namespace: str, seed: int
) -> None:
    """Claims, ends, losses, starts without a lease, changed limits, calls sent twice and late."""
    world = World(registry, client, seed)
    await world.policy()
    for number in range(STEPS):
        await world.step()
        if number % EVERY == 0:
            await assert_sound(client, namespace)

    assert await world.finish_everything() == []
    left = (await keyspace(client, namespace))[0]
    assert [name for name in left if name.startswith(("turn:", "parked:", "k:", "scope:"))] == []
