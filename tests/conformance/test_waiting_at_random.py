"""Seeded random registrations, ends, cancels, alarms and prunes: what waits for nothing has always moved."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from lash_redis.core.errors import LashError
from lash_redis.core.model import Phase
from lash_redis.core.outcomes import Failure, Outcome, Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, cancel, held, work
from tests.soundness import assert_sound


async def step(registry: ProcessRegistry, chance: random.Random) -> None:
    """Do something to one of twelve processes; what is refused changes nothing."""
    numbers = [f"r::{at}" for at in range(12)]
    one = chance.choice(numbers)
    with contextlib.suppress(LashError):
        match chance.randrange(6):
            case 0 | 1:
                others = tuple(chance.sample(numbers, chance.randrange(4)))
                await registry.register(work(one, after=others, if_failed=chance.choice(["cancel", "run"])))
            case 2 | 3:
                outcome: Outcome = Success() if chance.random() < 0.5 else Failure("E")
                await registry.complete(await held(registry, one, ADA), outcome)
            case 4:
                await registry.request_cancel(one, cancel())
            case 5:
                await registry.prune(2**52)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("partitions", [1])
async def test_what_waits_for_nothing_has_moved(
    registry: ProcessRegistry, client: Any, namespace: str, seed: int
) -> None:
    """After each step a blocked process waits for one that has not ended, and the namespace is sound."""
    chance = random.Random(seed)
    for number in range(120):
        await step(registry, chance)
        if number % 10 == 0:
            await assert_sound(client, namespace)
    for record in (await registry.list_non_terminal(500)).records:
        if record.phase is Phase.BLOCKED:
            assert any(not row.is_terminal for row in (await registry.awaited(record.id)).rows)
