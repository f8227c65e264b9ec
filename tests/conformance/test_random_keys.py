"""Random transitions of keyed lanes: no slot leaks or is exceeded, and no key that may run is forgotten (rule 9.12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

import pytest

from lash_redis.core.errors import LashError
from lash_redis.core.lanes import lane, scopes_of
from lash_redis.core.model import ProcessLease, ProcessStarted
from lash_redis.core.outcomes import Failure, Success
from lash_redis.core.places import LEASED
from lash_redis.core.policies import Policy
from lash_redis.core.retrying import Again
from lash_redis.registry.answers import ClaimedBatch, RetriedRun
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
from tests.conftest import ServerTime
from tests.soundness import assert_sound, keyspace

SCOPES: Final = (",", "a,", "a,all", ",all")
TASKS: Final = ("one", "two")
LANES: Final = tuple(lane("default", task, "", scopes) for task in TASKS for scopes in SCOPES)
KEYS: Final = ("x", "y", "a b|alone")
STEPS: Final = 200
EVERY: Final = 10
STEP_MS: Final = 100


class World:
    """What happens to a registry, by chance."""

    def __init__(self, registry: ProcessRegistry, server: ServerTime, client: Any, seed: int) -> None:
        self.registry, self.server, self.client, self.chance = registry, server, client, Random(seed)
        self.leases: list[ProcessLease] = []
        self.ids: list[str] = []
        self.revision = 0
        self.sent: list[Callable[[], Awaitable[Any]]] = []
        self.seen = Counter[str]()

    @property
    def partitions(self) -> range:
        """All of them."""
        return range(self.registry.partitions)

    def partition(self) -> int:
        """Return any."""
        return self.chance.choice(self.partitions)

    async def send(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Send a call; now and then lose it, send it twice, or an old one again after it."""
        self.sent.append(call)
        if self.chance.random() < 0.05:
            self.seen["lost"] += 1  # it may come late
            return None
        result = await self.sent_once(call)
        if self.chance.random() < 0.2:
            late = self.chance.choice(self.sent)
            again = self.chance.choice((call, late))
            self.seen["repeated" if again is call else "late"] += 1
            await self.sent_once(again)
        return result

    async def sent_once(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Send a call; what is refused changes nothing."""
        try:
            return await call()
        except LashError:
            self.seen["refused"] += 1
            return None

    async def step(self) -> None:
        """Do one thing."""
        does = self.chance.choices(
            (self.register, self.claim, self.end, self.give_up, self.lose, self.retry, self.claim_one, self.cancel,
             self.policy, self.bring, self.set_clock),
            (8, 10, 6, 3, 3, 2, 2, 1, 1, 2, 3),
        )[0]  # fmt: skip
        self.seen[does.__name__] += 1
        await does()

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
                    key=self.chance.choice(KEYS),
                    scopes=self.chance.choice(SCOPES),
                    cost=self.chance.choice((1, 1, 2)),
                    priority=self.chance.choice((0, 0, 1)),
                    loss_limit=9,
                )
            )
        await self.send(lambda: self.registry.register_many(rows))

    async def claim(self) -> None:
        """Claim from some lanes of a partition."""
        lanes = self.chance.sample(LANES, self.chance.randint(1, len(LANES)))
        partition = self.partition()
        claim = batch_claim(
            self.registry,
            ADA,
            count=self.chance.randint(1, 4),
            served=(("default", tuple(lanes)),),
            alone=self.chance.random() < 0.7,
            partition=partition,
        )
        is_new = [True]

        async def claimed() -> ClaimedBatch:
            batch = await self.registry.claim_next(claim)
            if is_new.pop() if is_new else False:
                self.seen["started"] += len(batch.rows)
                await self.assert_none_is_exceeded(partition, [row.process_id for row in batch.rows])
            return batch

        batch = await self.send(claimed)
        if batch:
            self.leases += leases_of(batch, ADA)

    async def assert_none_is_exceeded(self, partition: int, ids: list[str]) -> None:
        """Check the slots and windows of what a claim has just started."""
        k = partition_prefix(self.registry.namespace, partition)
        for row in filter(None, await self.registry.rows(ids)):
            for scope, key in zip(scopes_of(row.lane).split(","), (row.key, ""), strict=True):
                if not scope:
                    continue
                text = (await self.client.hget(f"{k}:policies", scope)).decode()
                limit, starts, _ = map(int, text.split(" ")[2:5])
                taken = await self.client.zscore(f"{k}:slots:{scope} {key}", "")
                window = await self.client.get(f"{k}:window:{scope} {key}")
                assert not limit or taken <= limit, f"{row.process_id}: {taken} of {limit} slots of {scope}"
                assert not starts or window is None or int(window.split()[1]) <= starts

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

    async def retry(self) -> None:
        """Let some work run again, later or at once."""
        if lease := self.some_lease():
            run = RetriedRun(lease, Again(self.chance.choice((0, 1, STEP_MS))), Failure("E"))
            await self.send(lambda: self.registry.retry_many([run]))

    async def bring(self) -> None:
        """Bring what is due."""
        partition = self.partition()
        await self.send(lambda: self.registry.bring_due(partition, self.chance.choice((1, 50))))

    async def set_clock(self) -> None:
        """Let time pass, or set the clock back."""
        if self.chance.random() < 0.5:
            await self.server.set_back(self.registry, self.chance.choice((1, STEP_MS, 3_600_000)))
            for partition in self.partitions:
                await self.registry.bring_due(partition, 500)
                k = partition_prefix(self.registry.namespace, partition)
                assert int(await self.client.hget(f"{k}:hdr", "clock") or 0) <= await self.server.now_ms()
        else:
            await self.server.pass_until(await self.server.now_ms() + STEP_MS)

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
        scope, least = self.chance.choice(("a", "all")), self.registry.partitions
        limit, starts = self.chance.choice(((2, 0), (1, 0), (4, 0), (0, 2), (3, 2), (2, 3)))
        changed = Policy(scope, scope == "a", least * limit, least * starts, STEP_MS, revision=self.revision)
        for partition in self.partitions:
            await self.send(lambda partition=partition: self.registry.name_policies(partition, [changed]))  # type: ignore[misc]

    async def finish_everything(self) -> list[str]:
        """Let all limits go, run what is left, and return what still waits in a lane."""
        everything = [Policy(scope, scope == "a", 80_000, revision=self.revision + 1) for scope in ("a", "all")]
        left: list[str] = []
        for partition in self.partitions:
            await self.registry.name_policies(partition, everything)
        await self.server.pass_until(await self.server.now_ms() + STEP_MS + 1)
        for partition in self.partitions:
            in_ms: int | None = 0
            while in_ms is not None and in_ms <= STEP_MS:  # what is delayed, and what an alarm looks at
                await self.server.pass_until(await self.server.now_ms() + in_ms)
                in_ms = (await self.registry.bring_due(partition, 500)).next_in_ms
            rows = True
            while rows:
                batch = await self.registry.claim_next(
                    batch_claim(self.registry, ADA, count=50, served=(("default", LANES),), partition=partition)
                )
                rows = bool(batch.rows)
                for lease in leases_of(batch, ADA):
                    await self.registry.complete(lease, Success(1))
            left += (await self.registry.counts(partition)).lanes
        return left


@pytest.mark.parametrize("seed", range(2))
async def test_random_transitions_leak_no_slot_and_forget_no_key(
    registry: ProcessRegistry, server: ServerTime, client: Any, namespace: str, seed: int
) -> None:
    """Claims, ends, losses, retries, starts without a lease, changed limits and clocks; lost, late, repeated calls."""
    world = World(registry, server, client, seed)
    for partition in world.partitions:  # what all keys share, and what each has
        await registry.name_policies(partition, [Policy(scope, scope == "a", 16) for scope in ("a", "all")])
    for number in range(STEPS):
        await world.step()
        if number % EVERY == 0:
            await assert_sound(client, namespace)

    assert world.seen["started"] > STEPS / 10
    assert not {"lost", "late", "repeated", "refused", "retry", "set_clock", "policy"} - world.seen.keys()
    assert await world.finish_everything() == []
    left = [name for keys in (await keyspace(client, namespace)).values() for name in keys]
    assert [name for name in left if name.startswith(("turn:", "parked:", "k:", "scope:", "next:"))] == []
