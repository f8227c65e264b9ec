"""Seeded random registrations, ends, cancels, resolutions and prunes: what waits for nothing has always moved."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from lash_redis.core.errors import LashError
from lash_redis.core.model import Phase, ProcessRegistration, ProcessStatus
from lash_redis.core.outcomes import Failure, Resolution, ResolutionKind, Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, RERUNNABLE, cancel, held, work
from tests.conformance.test_awaiting import give_up
from tests.soundness import assert_sound

STEPS = 120
CHECK_EVERY = 10


class World:
    """What was registered so far: each waits for some of those that came shortly before it."""

    def __init__(self, registry: ProcessRegistry, seed: int) -> None:
        self.registry, self.chance = registry, random.Random(seed)
        self.registered: list[ProcessRegistration] = []

    async def register(self) -> None:
        """Register a process, or one of the last again."""
        chance = self.chance
        recent = [each for each in self.registered[-6:] if await self.registry.get(each.id)]  # the others were pruned
        if recent and chance.random() < 0.2:
            await self.registry.register(chance.choice(recent))
            return
        after = tuple(each.id for each in chance.sample(recent, min(len(recent), chance.randrange(4))))
        if_failed = chance.choice(["cancel", "run"]) if after else None
        disposition = chance.choice([RERUNNABLE, RERUNNABLE, OWNER_BOUND])
        made = work(f"r::{len(self.registered)}", disposition, after=after, if_failed=if_failed)
        await self.registry.register(made)
        self.registered.append(made)

    async def step(self) -> None:
        """Do something; what is refused changes nothing."""
        one = self.chance.choice(self.registered[-8:]).id if self.registered else "nobody"
        with contextlib.suppress(LashError):
            match self.chance.randrange(13):
                case 0 | 1 | 2 | 3 | 4:
                    await self.register()
                case 5 | 6:
                    await self.end(one)
                case 7 | 8:
                    await give_up(self.registry, one)
                case 9 | 10:
                    await self.resolve(one)
                case 11:
                    await self.registry.request_cancel(one, cancel())
                case 12:
                    accepting = Resolution(ResolutionKind.ACCEPTED, "ops", 1) if self.chance.random() < 0.3 else None
                    await self.registry.prune(2**52, accepting=accepting)

    async def end(self, process_id: str) -> None:
        """Run a process, which may fail."""
        lease = await held(self.registry, process_id, ADA)
        await self.registry.start(lease)
        await self.registry.complete(lease, Failure("E") if self.chance.random() < 0.3 else Success())

    async def resolve(self, process_id: str) -> None:
        """Say what became of a process."""
        await self.registry.resolve(process_id, Resolution(self.chance.choice(list(ResolutionKind)), "ops", 1))

    async def end_all(self) -> None:
        """End one after the other: none is stuck, since those for which it waits have ended by then."""
        for each in self.registered:
            record = await self.registry.get(each.id)
            if record is not None and not record.is_terminal:
                await self.end(each.id)
            elif record is not None and record.status is ProcessStatus.ABANDONED:
                await self.resolve(each.id)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("partitions", [1])
async def test_what_waits_for_nothing_has_moved(
    registry: ProcessRegistry, client: Any, namespace: str, seed: int
) -> None:
    """In a sound namespace a blocked process waits for one that has not ended; and all can end."""
    world = World(registry, seed)
    blocked = 0
    for number in range(STEPS):
        await world.step()
        if number % CHECK_EVERY == 0:
            await assert_sound(client, namespace)
            records = (await registry.list_non_terminal(500)).records
            blocked += [record.phase for record in records].count(Phase.BLOCKED)
    await world.end_all()

    assert blocked > STEPS // CHECK_EVERY
    assert (await registry.list_non_terminal(500)).records == []
