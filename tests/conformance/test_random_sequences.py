"""Sequences under random transitions, with repeated, late and refused calls: in order and never two at once."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from typing import Any, Final

import pytest

from lash_redis.core.errors import RegistryError, UnknownProcess
from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Acquired, Phase, ProcessLease, ProcessRecord, ProcessStarted, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Failure, Resolution, ResolutionKind, Success
from lash_redis.core.retrying import Again
from lash_redis.core.sequences import AfterLoss, sequence_scope
from lash_redis.registry.answers import RetriedRun
from lash_redis.registry.calls.forgetting import accept_page
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandoned,
    batch_claim,
    cancel,
    make_due,
    settled,
    work,
)
from tests.look import record_of
from tests.soundness import assert_sound

KEYS: Final = (
    ("x", "y z"),
    ("x", "yz", "w"),
)  # in one partition, and in several, where each begins the ids of its work
TASKS: Final = ("work", "other")
STEPS, BETWEEN_LOOKS = 400, 20


class Life:
    """What a test knows of the rows: who stands in the sequence of each key, and which leases there were."""

    def __init__(self, registry: ProcessRegistry, after_loss: AfterLoss, seed: int) -> None:
        self.registry = registry
        self.halts = after_loss == "halt"
        self.random = random.Random(seed)
        self.scopes = f"{sequence_scope('money', after_loss)},"
        self.lanes = [lane("default", task, "", self.scopes) for task in TASKS]
        self.keys: dict[str, str] = {}
        self.order: dict[str, list[str]] = defaultdict(list)
        self.leases: dict[str, ProcessLease] = {}
        self.every_lease: list[ProcessLease] = []
        self.leased: set[str] = set()
        self.records: dict[str, ProcessRecord] = {}
        self.left: set[str] = set()
        self.starts = 0
        self.seen: set[Phase | ProcessStatus] = set()
        self.began_elsewhere: set[Phase] = set()
        self.came_again_last = 0

    async def step(self) -> None:
        """Do something; what is refused changes nothing."""
        action = self.random.choice(
            [*[self.register] * 5, *[self.claim] * 4, self.end, self.give_back, *[self.lose] * 5, self.resolve,
             self.resolve, self.resolve, *[self.come_back] * 6, self.elsewhere, self.elsewhere, self.cancel, self.bring,
             self.bring, self.say_again]
        )  # fmt: skip
        with contextlib.suppress(RegistryError):
            await action()
        await self.observe()

    def some(self, *phases: Phase | ProcessStatus) -> str:
        """Return the id of a row in one of these places, or of any."""
        found = [id_ for id_, record in self.records.items() if {record.phase, record.status} & {*phases}]
        return self.random.choice(found or ["nobody"]) if self.random.random() < 0.9 else self.any()

    def any(self) -> str:
        """Return any id."""
        return self.random.choice([*self.keys, "nobody"])

    def lease(self) -> ProcessLease:
        """Return a lease that stands, or one that there was."""
        found = [*self.leases.values()] if self.random.random() < 0.9 else self.every_lease
        if not found:
            raise UnknownProcess("nobody")
        return self.random.choice(found)

    def grant(self, lease: ProcessLease) -> None:
        """Keep a lease."""
        self.leases[lease.process_id] = lease
        self.every_lease.append(lease)
        self.leased.add(lease.process_id)

    async def register(self) -> None:
        """Register one process, or say so twice."""
        key, task = self.random.choice(KEYS[self.registry.partitions > 1]), self.random.choice(TASKS)
        process_id = f"{key.replace(' ', '')}::{len(self.keys)}"
        delay_ms = self.random.choice([0, 0, LONG_MS])
        disposition = self.random.choice([RERUNNABLE, OWNER_BOUND, OWNER_BOUND])
        registration = work(
            process_id, disposition, task=task, key=key, scopes=self.scopes, delay_ms=delay_ms, loss_limit=3
        )
        for _ in range(self.random.choice([1, 2])):
            await self.registry.register_many([registration])
        self.keys[process_id] = key

    async def claim(self) -> None:
        """Claim from some lanes, and perhaps ask again for the same."""
        owner = self.random.choice([ADA, BOB])
        if self.random.random() < 0.2:
            await self.claim_by_id(owner)
            return
        lanes = [each for each in self.lanes if self.random.random() < 0.8]
        count = self.random.choice([1, 2, 9])
        for partition in range(self.registry.partitions):
            claim = batch_claim(
                self.registry, owner, count=count, served=(("default", tuple(lanes)),), partition=partition
            )
            rows = (await self.registry.claim_next(claim)).rows
            if self.random.random() < 0.3:
                rows = (await self.registry.claim_next(claim)).rows
            for row in rows:
                self.started(row.process_id)
                self.grant(ProcessLease(row.process_id, owner, row.token, row.fence, 0, 2**50))

    async def claim_by_id(self, owner: LeaseOwner) -> None:
        """Claim any row by its id."""
        process_id = self.some(Phase.QUEUED)
        if process_id in self.leases:
            return
        claimed = await self.registry.claim(process_id, owner, LONG_MS)
        assert isinstance(claimed, Acquired)
        self.started(process_id)
        self.grant(claimed.lease)
        await self.registry.start(claimed.lease)

    def started(self, process_id: str) -> None:
        """Check that a row which was handed out is the first of its key."""
        self.starts += 1
        if process_id not in self.left:
            assert self.order[self.keys[process_id]][:1] == [process_id], "out of order, or beside another one"

    async def end(self) -> None:
        """Write a terminal fact, or say so twice."""
        lease = self.lease()
        outcome = Success() if self.random.random() < 0.5 else Failure("E")
        for _ in range(self.random.choice([1, 2])):
            await self.registry.complete(lease, outcome)

    async def give_back(self) -> None:
        """Release it, say that it never began, or run it again later; perhaps twice."""
        lease, way = self.lease(), self.random.choice(["release", "unstart", "retry"])
        for _ in range(self.random.choice([1, 2])):
            match way:
                case "release":
                    await self.registry.release(lease)
                case "unstart":
                    await self.registry.unstart_many([lease])
                case "retry":
                    await self.registry.retry_many([RetriedRun(lease, Again(LONG_MS), Failure("E"))])

    async def lose(self) -> None:
        """Settle as a sweep would that finds the owner dead or silent."""
        process_id = self.some(Phase.STARTED, Phase.UNCERTAIN)
        record = self.records.get(process_id)
        if record is None or record.phase not in (Phase.HELD, Phase.STARTED, Phase.UNCERTAIN):
            return
        is_bound = record.disposition is OWNER_BOUND and record.first_started is not None
        if self.random.random() < 0.3 and (is_bound or record.losses):
            fact = abandoned(AbandonWriter.SWEEP if is_bound else AbandonWriter.LOSS_LIMIT, ADA)
            await settled(self.registry, process_id, "fact", fact, even_if_live=True)
        elif is_bound:
            await settled(self.registry, process_id, "uncertain", even_if_live=True)
        elif record.losses < 2:
            await settled(self.registry, process_id, "queue", even_if_live=True)

    async def come_back(self) -> None:
        """Claim as the starter of what is uncertain, mostly of what ran here; it may find that it cannot begin."""
        found = [id_ for id_, each in self.records.items() if each.phase is Phase.UNCERTAIN and id_ in self.leased]
        process_id = self.random.choice(found) if found and self.random.random() < 0.7 else self.some(Phase.UNCERTAIN)
        record = self.records.get(process_id)
        if record is None or record.phase is not Phase.UNCERTAIN or record.first_started is None:
            return
        claimed = await self.registry.claim(process_id, record.first_started.owner, LONG_MS)
        assert isinstance(claimed, Acquired)
        self.grant(claimed.lease)
        if self.random.random() < 0.5:
            await self.registry.unstart_many([claimed.lease])

    async def elsewhere(self) -> None:
        """Record that a host without a lease began something, perhaps before its time or its turn; or say so twice."""
        process_id = self.some(self.random.choice([Phase.QUEUED, Phase.DELAYED]))
        record = self.records.get(process_id)
        if record is None or record.phase not in (Phase.QUEUED, Phase.DELAYED):
            return
        for _ in range(self.random.choice([1, 2])):
            await self.registry.record_first_started(process_id, ProcessStarted(CYD, 1))
        if record.disposition is OWNER_BOUND:
            self.began_elsewhere.add(record.phase)

    async def resolve(self) -> None:
        """Say what became of something, or say so twice."""
        kind, process_id = self.random.choice(list(ResolutionKind)), self.some(ProcessStatus.ABANDONED)
        if self.random.random() < 0.2:
            partition = self.registry.partition_of(process_id)
            accepted = Resolution(ResolutionKind.ACCEPTED, "ops", 1)
            await self.registry.sender.send(accept_page(partition, 2**52, "", accepted))
        for _ in range(self.random.choice([1, 2])):
            await self.registry.resolve(process_id, Resolution(kind, "ops", 1))

    async def cancel(self) -> None:
        """Ask that something stop."""
        if self.random.random() < 0.2:
            await self.registry.request_cancel(self.any(), cancel())

    async def bring(self) -> None:
        """Let the time of a delayed row come."""
        process_id = self.some(Phase.DELAYED)
        record = self.records.get(process_id)
        if record is not None and record.phase is Phase.DELAYED:
            await make_due(self.registry, process_id)
            await self.registry.bring_due(self.registry.partition_of(process_id))

    async def say_again(self) -> None:
        """Let a release come under a lease that was replaced long ago."""
        lease = self.lease()
        await self.registry.release(ProcessLease(lease.process_id, lease.owner, "other", lease.fencing_token, 0, 2**50))

    async def observe(self) -> None:
        """Read what has become of each row, and keep who stands in each sequence."""
        rows = await self.registry.rows(list(self.keys))
        self.records = {row.process_id: row.record() for row in rows if row is not None}
        for process_id, key in self.keys.items():
            record, order = self.records[process_id], self.order[key]
            self.seen.add(record.phase or record.status)
            if record.phase not in (Phase.HELD, Phase.STARTED):
                self.leases.pop(process_id, None)
            stands = record.phase is Phase.QUEUED or (self.halts and record.phase is Phase.UNCERTAIN)
            if stands and process_id not in order:
                self.came_again_last += process_id in self.left and len(order) > 0
                order.append(process_id)
                self.left.discard(process_id)
            elif process_id in order and self.has_gone(record):
                order.remove(process_id)
                self.left.add(process_id)

    def has_gone(self, record: ProcessRecord) -> bool:
        """Say whether a row stands in its sequence no more."""
        if record.status is ProcessStatus.ABANDONED:
            return not self.halts or record.resolution is not None
        return record.is_terminal or (record.phase is Phase.UNCERTAIN and not self.halts)

    async def finish(self) -> None:
        """End everything: nothing may be stuck."""
        for process_id in self.keys:
            record = await record_of(self.registry, process_id)
            if record.phase is Phase.DELAYED:
                await make_due(self.registry, process_id)
                await self.registry.bring_due(self.registry.partition_of(process_id))
        served = (("default", tuple(self.lanes)),)
        for _ in range(3 * len(self.keys)):
            await self.observe()
            if all(each.is_terminal for each in self.records.values()):
                return
            for process_id, record in self.records.items():
                if record.status is ProcessStatus.ABANDONED and record.resolution is None:
                    await self.registry.resolve(process_id, Resolution(ResolutionKind.ACCEPTED, "ops", 1))
                elif record.phase in (Phase.HELD, Phase.STARTED, Phase.UNCERTAIN):
                    fact = abandoned(AbandonWriter.SWEEP, ADA)
                    assert await settled(self.registry, process_id, "fact", fact, even_if_live=True)
            for partition in range(self.registry.partitions):
                await self.registry.claim_next(
                    batch_claim(self.registry, ADA, count=99, served=served, partition=partition)
                )


@pytest.mark.parametrize("partitions", [1, 8])
@pytest.mark.parametrize("backend", ["valkey", "redis7"], indirect=True)  # fakeredis takes four times as long
@pytest.mark.parametrize("after_loss", ["halt", "continue"])
async def test_whatever_comes_a_sequence_keeps_its_order(
    registry: ProcessRegistry, client: Any, namespace: str, after_loss: AfterLoss
) -> None:
    """Never two at once, never out of order, and nothing is stuck; the namespace is sound all the time."""
    life = Life(registry, after_loss, seed=1)
    for number in range(STEPS):
        await life.step()
        if number % BETWEEN_LOOKS == 0:
            await assert_sound(client, namespace)
    assert life.starts >= 10
    assert {Phase.UNCERTAIN, Phase.DELAYED, ProcessStatus.ABANDONED} <= life.seen
    assert any(record.resolution for record in life.records.values())
    assert life.began_elsewhere == {Phase.QUEUED, Phase.DELAYED}
    assert after_loss == "halt" or life.came_again_last
    await life.finish()
    await assert_sound(client, namespace)
    assert [id_ for id_ in life.keys if not (await record_of(registry, id_)).is_terminal] == []
