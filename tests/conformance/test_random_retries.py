"""Random transitions: delays, retries, snoozes, cancels, losses, releases and expiry, with calls repeated and late."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import ProcessLease, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import Failure, Success
from lash_redis.core.retrying import Again
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import RetriedRun, TerminalFact
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, OWNER_BOUND, RERUNNABLE, batch_claim, cancel, leases_of, work
from tests.conftest import ServerTime
from tests.look import record_of

STEPS = 220
TTL_MS = 40
WAITS_MS = (0, 1, 5, 20)


class Walk:
    """One seeded walk, and what it knows by itself of each process."""

    def __init__(self, registry: ProcessRegistry, server: ServerTime, seed: int) -> None:
        self.registry, self.server, self.random = registry, server, random.Random(seed)
        self.leases: list[ProcessLease] = []
        self.sent: list[tuple[Callable[[], Awaitable[Any]], ProcessLease | None]] = []
        self.answered: dict[str, str] = {}  # by token of a retry: what it was answered first
        self.last_retried: dict[str, str] = {}  # by process: the token of its last retry
        self.due_ms: dict[str, int] = {}
        self.expires_ms: dict[str, int] = {}
        self.dispositions: dict[str, RecoveryDisposition] = {}
        self.retried: Counter[str] = Counter()
        self.tokens: dict[str, set[str]] = {}

    async def step(self) -> None:
        """Do one thing at random, sometimes twice, and sometimes what was done long ago again."""
        act = self.random.choice(
            [self.register, self.register, self.claim, self.claim, self.claim, self.again, self.again, self.again,
             self.finish, self.give_back, self.cancel, self.sweep, self.wait, self.repeat]
        )  # fmt: skip
        await act()

    async def do(self, send: Callable[[], Awaitable[Any]], retried: ProcessLease | None = None) -> Any:
        """Send a call; its answer may be lost, so that it is sent again. A retry is answered the same then."""
        self.sent.append((send, retried))
        answer = await send()
        if self.random.random() < 0.3:
            again = await send()
            assert retried is None or again == answer
        return answer

    async def register(self) -> None:
        """Register a process: now or later, and with an expiry or without."""
        name = f"p{len(self.dispositions)}"
        self.dispositions[name] = self.random.choice([RERUNNABLE, RERUNNABLE, OWNER_BOUND])
        expires = self.random.choice([None, 15, 10_000])
        options = {"delay_ms": self.random.choice(WAITS_MS), "expires_in_ms": expires}
        await self.registry.register(work(name, self.dispositions[name], **options))
        record = await record_of(self.registry, name)
        self.due_ms[name], self.expires_ms[name] = record.due_at_ms or 0, record.expires_at_ms or 2**53

    async def claim(self) -> None:
        """Claim; nothing is early, too late, or owner-bound work that somebody has started."""
        owner: LeaseOwner = self.random.choice([ADA, BOB])
        for partition in range(self.registry.partitions):
            await self.claim_in(partition, owner)

    async def claim_in(self, partition: int, owner: LeaseOwner) -> None:
        """Claim in one partition."""
        claim = batch_claim(self.registry, owner, count=3, ttl_ms=TTL_MS, partition=partition)
        batch = await self.registry.claim_next(claim)
        for row in batch.rows:
            name, tokens = row.process_id, self.tokens.setdefault(row.process_id, set())
            assert batch.claimed_at_ms >= self.due_ms[name]
            assert tokens or batch.claimed_at_ms < self.expires_ms[name]
            assert not (tokens and self.dispositions[name] is OWNER_BOUND)
            assert row.retries == self.retried[name]
            tokens.add(row.token)
        self.leases += leases_of(batch, owner)

    async def again(self) -> None:
        """End a run that is to be made again."""
        if not self.leases:
            return
        lease = self.random.choice(self.leases[-6:])
        again = Again(self.random.choice(WAITS_MS), self.random.choice([None, 3]), self.random.random() < 0.7)
        run = RetriedRun(lease, again, Failure("E", "x" * self.random.choice([1, 100])))
        before = await record_of(self.registry, lease.process_id)
        (word,) = await self.do(lambda: self.registry.retry_many([run]), lease)
        if word in ("DONE", "FAILED", "CANCELLED") and lease.token not in self.answered:
            self.last_retried[lease.process_id] = lease.token
        await self.check_answer(lease, word)
        record = await record_of(self.registry, lease.process_id)
        assert not (word == "DONE" and self.dispositions[lease.process_id] is OWNER_BOUND)
        if word == "DONE" and record != before:
            self.retried[lease.process_id] += again.counts
            self.due_ms[lease.process_id] = record.due_at_ms or 0

    async def check_answer(self, lease: ProcessLease, word: str) -> None:
        """Check the answer to a retry that came again: as at its first sending, unless a later run was retried.

        What is delayed may have been cancelled meanwhile: the answer says so then.
        """
        first = self.answered.setdefault(lease.token, word)
        if self.last_retried.get(lease.process_id) == lease.token:
            assert word == first or (first, word) == ("DONE", "CANCELLED")
            assert (
                word != "CANCELLED"
                or (await record_of(self.registry, lease.process_id)).status is ProcessStatus.CANCELLED
            )
        else:
            assert word in ("STALE", "LOST", "TERMINAL", "AUTHORITY")

    async def finish(self) -> None:
        """Complete a run."""
        if self.leases:
            fact = self.registry.encoded(Success("done"))
            await self.do(self.terminalizing(self.random.choice(self.leases[-6:]), *fact))

    def terminalizing(self, lease: ProcessLease, state: str, data: bytes) -> Callable[[], Awaitable[Any]]:
        """Return the call that writes this fact."""
        return lambda: self.registry.terminalize_many([TerminalFact(lease, state, data)])

    async def give_back(self) -> None:
        """Release a lease, or say that its code was never entered."""
        if not self.leases:
            return
        lease = self.random.choice(self.leases[-6:])
        if self.random.random() < 0.7:
            await self.do(lambda: self.registry.release_many([lease]))
            return
        (word,) = await self.do(lambda: self.registry.unstart_many([lease]))
        if word == "DONE":
            record = await self.registry.get(lease.process_id)
            if record is not None and record.first_started is None:
                self.tokens[lease.process_id].clear()

    async def cancel(self) -> None:
        """Ask for a stop."""
        if self.dispositions and self.random.random() < 0.3:
            name = self.random.choice(list(self.dispositions))
            record = await record_of(self.registry, name)
            if not record.is_terminal and record.cancel_request is None:
                await self.do(lambda: self.registry.request_cancel(name, cancel()))

    async def sweep(self) -> None:
        """Recover what was lost."""
        await Sweep(self.registry, BOB).run_once()

    async def wait(self) -> None:
        """Let time pass: leases lapse, and rows become due and expire."""
        await self.server.pass_until(await self.server.now_ms() + self.random.choice([1, 5, TTL_MS]))

    async def repeat(self) -> None:
        """Send again what was sent at any time."""
        if self.sent:
            late, retried = self.random.choice(self.sent)
            before = {name: (await record_of(self.registry, name)) for name in self.dispositions}
            answer = await late()
            if retried is not None:
                await self.check_answer(retried, answer[0])
            for name, record in before.items():
                after = await record_of(self.registry, name)
                assert (after.attempts, after.due_at_ms) == (record.attempts, record.due_at_ms) or after.is_terminal


@pytest.mark.parametrize("partitions", [1, 8])
@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_each_run_is_counted_once(
    registry: ProcessRegistry, server: ServerTime, seed: int
) -> None:
    """Nothing is early, nothing expired or owner-bound runs again; the soundness check looks at the rest."""
    walk = Walk(registry, server, seed)
    for _ in range(STEPS):
        await walk.step()

    assert sum(walk.retried.values()) > 0
    for name, retries in walk.retried.items():
        record = await record_of(registry, name)
        assert retries <= record.attempts <= retries + 1
