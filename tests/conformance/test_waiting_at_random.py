"""Seeded random registrations, groups, ends, cancels, resolutions and prunes, with calls lost, repeated and late."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash_redis.core.errors import LashError
from lash_redis.core.model import (
    ExternalOwner,
    Phase,
    ProcessRecord,
    ProcessRegistration,
    ProcessStarted,
    ProcessStatus,
    RecoveryDisposition,
)
from lash_redis.core.outcomes import AbandonWriter, Cancelled, Failure, Resolution, ResolutionKind, Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, RERUNNABLE, abandoned, cancel, held, outside, settled, work
from tests.conformance.test_awaiting import give_up
from tests.conftest import ServerTime
from tests.soundness import assert_sound

STEPS = 140
CHECK_EVERY = 10
ROUTES = ("r", "s", "t")  # of two partitions at least, where there are eight
A_CROWD = 130  # more than one script tells

Send = Callable[[], Awaitable[Any]]


class World:
    """What was registered so far: each waits for some of those of its route that came shortly before it."""

    def __init__(self, registry: ProcessRegistry, server: ServerTime, seed: int) -> None:
        self.registry, self.server, self.chance = registry, server, random.Random(seed)
        self.registered: dict[str, ProcessRegistration] = {}
        self.groups: list[str] = []
        self.sent: list[Send] = []
        self.loses_calls = True

    async def do(self, send: Send) -> None:
        """Send a call, which may be lost, or be sent again; it may be sent again much later too."""
        self.sent.append(send)
        for _ in range(self.chance.choice([0, 1, 1, 1, 1, 1, 2]) if self.loses_calls else 1):
            await send()

    async def step(self) -> None:
        """Do something; what is refused changes nothing."""
        if not self.registered:
            await self.submit([work("r::first")])
        one = self.chance.choice(list(self.registered)[-10:])
        group = self.chance.choice(self.groups[-3:]) if self.groups else "nobody"
        steps: list[Callable[[], Awaitable[None]]] = [
            *[self.register] * 4,
            *[lambda: self.end(one)] * 3,
            *[lambda: give_up(self.registry, one)] * 2,
            *[lambda: self.resolve(one)] * 2,
            lambda: self.do(lambda: self.registry.request_cancel(one, cancel())),
            lambda: self.lose(one),
            self.open,
            *[lambda: self.join(group)] * 2,
            lambda: self.do(lambda: self.registry.close_group(group)),
            self.late_copy,
            self.bring_due,
            self.prune,
        ]
        with contextlib.suppress(LashError):
            await self.chance.choice(steps)()

    async def register(self) -> None:
        """Register a process; rarely as many as one script does not tell."""
        chance, route = self.chance, self.chance.choice(ROUTES)
        recent = [each for each in list(self.registered)[-8:] if each.startswith(f"{route}::")]
        after = tuple(chance.sample(recent, min(len(recent), chance.randrange(4))))
        options: dict[str, Any] = {"after": after, "if_failed": chance.choice(["cancel", "run"])} if after else {}
        options |= {"delay_ms": chance.choice([0, 0, 1]), "expires_in_ms": chance.choice([None, None, 1, 60_000])}
        disposition = chance.choice([RERUNNABLE, RERUNNABLE, OWNER_BOUND])
        number = A_CROWD if after and chance.random() < 0.05 and len(self.registered) < A_CROWD else 1
        names = [f"{route}::{len(self.registered) + at}" for at in range(number)]
        made = [work(name, disposition, **options) for name in names]
        if not after and chance.random() < 0.2:
            made = [outside(name) for name in names]
        await self.submit(made)

    async def submit(self, made: list[ProcessRegistration]) -> None:
        """Register some; a call that is lost may still arrive."""
        self.registered |= {each.id: each for each in made}
        await self.do(lambda: self.registry.register_many(made))

    async def open(self) -> None:
        """Open a group, some of whose members may be there already."""
        name = f"{self.chance.choice(ROUTES)}::g{len(self.registered)}"
        self.groups.append(name)
        await self.submit([work(name, opens_group=True, if_failed=self.chance.choice(["cancel", "run"]))])

    async def join(self, group: str) -> None:
        """Add members to a group, some of which are there already and may wait for each other."""
        first = self.chance.randrange(4)
        disposition = self.chance.choice([RERUNNABLE, OWNER_BOUND])
        members = [self._member(group, number, disposition) for number in range(first, first + 3)]
        await self.submit(members)

    def _member(self, group: str, number: int, disposition: RecoveryDisposition) -> ProcessRegistration:
        name, before = f"{group}-{number}", f"{group}-{number - 1}"
        if name in self.registered:
            return self.registered[name]
        after = (before,) if number % 2 and before in self.registered else ()
        return work(name, disposition, member_of=group, after=after, if_failed="run" if after else None)

    async def end(self, process_id: str) -> None:
        """Run a process, which may fail."""
        outcome = Failure("E") if self.chance.random() < 0.3 else Success()
        if self.registered[process_id].disposition is RecoveryDisposition.EXTERNALLY_OWNED:
            await self.do(lambda: self.registry.complete_unleased(process_id, outcome, ExternalOwner("desk")))
            return
        lease = await held(self.registry, process_id, ADA)
        await self.registry.start(lease)
        await self.do(lambda: self.registry.complete(lease, outcome))

    async def lose(self, process_id: str) -> None:
        """Let owner-bound work be started elsewhere: nobody knows whether it runs."""
        if self.registered[process_id].disposition is OWNER_BOUND:
            await self.do(lambda: self.registry.record_first_started(process_id, ProcessStarted(ADA, 1)))

    async def resolve(self, process_id: str) -> None:
        """Say what became of a process."""
        resolution = Resolution(self.chance.choice(list(ResolutionKind)), "ops", 1)
        await self.do(lambda: self.registry.resolve(process_id, resolution))

    async def late_copy(self) -> None:
        """Let what was sent long ago arrive once more, or for the first time."""
        if self.sent:
            await self.chance.choice(self.sent)()

    async def bring_due(self) -> None:
        """Let the alarms of every partition ring, and what is delayed become due."""
        await self.server.pass_until(await self.server.now_ms() + 2)
        for partition in range(self.registry.partitions):
            await self.registry.bring_due(partition)

    async def prune(self) -> None:
        """Forget all that may be forgotten."""
        await self.registry.prune(2**52)

    async def check(self) -> int:
        """Check of all that waited that it moved in its time; return how many are blocked."""
        rows = await self.registry.rows(list(self.registered))
        records = {row.process_id: row.record() for row in rows if row is not None}
        for name, record in records.items():
            waits, outcome = self.registered[name], record.outcome
            if isinstance(outcome, Cancelled) and (outcome.reason or "").endswith(": abandoned"):
                lost = records.get((outcome.reason or "").removeprefix("after ").removesuffix(": abandoned"))
                assert lost is None or lost.resolution is not None, (name, lost)
            if record.phase not in (None, Phase.BLOCKED):
                for other in waits.after:
                    awaited = records.get(other)  # none: it was pruned
                    assert awaited is None or _lets_go(awaited, waits), (name, record.phase, awaited)
        return [each.phase for each in records.values()].count(Phase.BLOCKED)

    async def end_all(self) -> None:
        """End what has not ended, again and again: none is stuck."""
        self.loses_calls = False
        while unended := (await self.registry.list_non_terminal(500)).records:
            await self.bring_due()
            for record in unended:
                with contextlib.suppress(LashError):
                    if record.id in self.groups:
                        await self.registry.close_group(record.id)
                    if record.phase is Phase.UNCERTAIN:
                        fact = abandoned(AbandonWriter.SWEEP, ADA)
                        await settled(self.registry, record.id, "fact", fact, even_if_live=True)
                    await self.end(record.id)
            for row in (await self.registry.list_ended(ProcessStatus.ABANDONED, 500, unresolved=True)).rows:
                await self.registry.resolve(row.process_id, Resolution(ResolutionKind.ACCEPTED, "ops", 1))
            left = (await self.registry.list_non_terminal(500)).records
            assert len(left) < len(unended), left


def _lets_go(awaited: ProcessRecord, waits: ProcessRegistration) -> bool:
    happened = awaited.resolution is not None and awaited.resolution.kind is ResolutionKind.HAPPENED
    has_completed = awaited.status is ProcessStatus.COMPLETED or happened
    return awaited.is_terminal and (waits.if_failed == "run" or has_completed)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("partitions", [1, 8])
async def test_what_waits_for_nothing_has_moved(
    registry: ProcessRegistry, client: Any, namespace: str, server: ServerTime, seed: int
) -> None:
    """In a sound namespace a blocked process waits for one that has not ended; and all can end."""
    world = World(registry, server, seed)
    blocked = 0
    for number in range(STEPS):
        await world.step()
        if number % CHECK_EVERY == 0:
            await assert_sound(client, namespace)
            blocked += await world.check()
    await world.end_all()

    assert blocked > STEPS // CHECK_EVERY
    await assert_sound(client, namespace)
