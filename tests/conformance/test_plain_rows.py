"""Most rows end by a shorter way than others (``end_rows.lua``), and both ways are one.

Two namespaces live through the same. In the other one each row says that others wait for it, and none does, so that it
goes the long way. The answers are the same, and what both hold in the end.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from lash_redis.core.errors import LashError
from lash_redis.core.model import ProcessLease, ProcessRegistration, RecoveryDisposition
from lash_redis.core.outcomes import Cancelled, Failure, Outcome, Success
from lash_redis.core.terms import NO_TERMS
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.keys import owner_digest, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    batch_claim,
    cancel,
    leases_of,
    work,
)
from tests.conftest import RegistryMaker
from tests.look import sent
from tests.soundness import assert_sound, keyspace

STEPS = 60
WAITERS = ("", "", "aa", "+aa", "+aa bb")
INPUTS: tuple[tuple[Any, ...], ...] = ((), (7, "x"), ("long" * 40,), ({"two": 1, "keys": 2},))
OUTCOMES: tuple[Outcome, ...] = (Success(), Success("a" * 90), Success("b" * 2000), Failure("ValueError"), Cancelled())
FURTHER = "dp"
DONE = Success()
MISTAKES: tuple[dict[str, Any], ...] = ({"token": "other"}, {"fencing_token": 7}, {"owner": BOB})


class Twins:
    """Both namespaces, and what was done so far."""

    def __init__(self, plain: ProcessRegistry, odd: ProcessRegistry, seed: int) -> None:
        self.plain, self.odd, self.random = plain, odd, random.Random(seed)
        self.ids: list[str] = []
        self.leases: list[tuple[ProcessLease, ProcessLease]] = []  # of the plain row and of the odd one

    async def _in_both(self, operation: str, *args: Any, each: Sequence[Any] = ((), ())) -> list[Any]:
        """Return both answers; `each` has what differs between the two."""
        answers: list[Any] = []
        for registry, own in zip((self.plain, self.odd), each, strict=True):
            try:
                answers.append(await getattr(registry, operation)(*args, *own))
            except LashError as refused:
                answers.append(type(refused).__name__)
        assert _without_times(answers[0]) == _without_times(answers[1]), (operation, args)
        return answers

    async def begin(self, registration: ProcessRegistration) -> tuple[ProcessLease, ProcessLease]:
        """Submit one, and claim and start it."""
        await self._submitted(registration)
        answers = await self._in_both("claim_next", batch_claim(self.plain, ADA, count=1))
        (plain,), (odd,) = (leases_of(answer, ADA) for answer in answers)
        return plain, odd

    async def ended(self, pair: tuple[ProcessLease, ...], outcome: Outcome = DONE) -> list[str]:
        """End one; return its status."""
        each = [[TerminalFact(lease, *self.plain.encoded(outcome))] for lease in pair]
        statuses: list[str] = (await self._in_both("terminalize_many", each=[[facts] for facts in each]))[0]
        return statuses

    async def _submitted(self, registration: ProcessRegistration) -> None:
        await self._in_both("submit", registration, NO_TERMS, self.random.choice(WAITERS))
        await sent(self.odd, "HSET", _key(self.odd, f"p:{registration.id}"), FURTHER, "1")

    async def both(self, operation: str, *args: Any) -> None:
        """Do the same in both."""
        await self._in_both(operation, *args)

    async def set_in_both(self, id_: str, *fields: str) -> None:
        """Write fields of a row."""
        for registry in (self.plain, self.odd):
            await sent(registry, "HSET", _key(registry, f"p:{id_}"), *fields)

    def _registration(self) -> ProcessRegistration:
        pick = self.random
        options: dict[str, Any] = {"chosen_id": pick.random() < 0.5}
        if pick.random() < 0.1:
            options["labels"] = {"colour": "red"}
        if pick.random() < 0.1:
            options["priority"] = 1
        self.ids.append(f"p-{len(self.ids)}")
        return work(self.ids[-1], pick.choice((RERUNNABLE, RERUNNABLE, OWNER_BOUND)), *pick.choice(INPUTS), **options)

    async def submit(self) -> None:
        """Submit some that the same clients wait for."""
        given = [self._registration() for _ in range(self.random.randint(1, 6))]
        for registration in given:
            await self._submitted(registration)

    async def claim(self) -> None:
        """Claim and start a batch."""
        owner = self.random.choice((ADA, BOB))
        claim = batch_claim(self.plain, owner, count=self.random.randint(1, 5))
        answers = await self._in_both("claim_next", claim)
        self.leases += zip(*(leases_of(answer, owner) for answer in answers), strict=True)

    def _some(self) -> list[tuple[ProcessLease, ProcessLease]]:
        return self.random.sample(self.leases, min(len(self.leases), self.random.randint(1, 6)))

    def _mistaken(self, pair: tuple[ProcessLease, ProcessLease]) -> tuple[ProcessLease, ...]:
        """Return two leases, sometimes such as they are not."""
        if self.random.random() > 0.1:
            return pair
        wrong = self.random.choice(
            ({"token": "other"}, {"fencing_token": 7}, {"process_id": "nobody"}, {"owner": BOB}, {"owner": ADA})
        )
        return tuple(msgspec.structs.replace(lease, **wrong) for lease in pair)

    async def end(self) -> None:
        """End some in one call of one owner: as their holder, as somebody else, or once more."""
        pairs = [self._mistaken(pair) for pair in self._some()]
        ends = [(pair, *self.plain.encoded(self.random.choice(OUTCOMES))) for pair in pairs]
        each = [[TerminalFact(pair[side], state, data) for pair, state, data in ends] for side in (0, 1)]
        await self._in_both("terminalize_many", each=[[facts] for facts in each])

    async def renew(self) -> None:
        """Move the expiry of one owner's leases."""
        await self._in_both("renew_owned", 0, [owner_digest(self.random.choice((ADA, BOB)))], 90_000)

    async def release(self) -> None:
        """Give one back."""
        for pair in self._some()[:1]:
            await self._in_both("release_many", each=[[[lease]] for lease in pair])

    async def ask(self) -> None:
        """Ask one to stop."""
        if self.ids:
            await self._in_both("request_cancel", self.random.choice(self.ids), cancel())

    async def evict(self) -> None:
        """Lose the key of one lease."""
        for lease, _ in self._some()[:1]:
            for registry in (self.plain, self.odd):
                await sent(registry, "DEL", _key(registry, f"l:{lease.process_id}"))

    async def step(self) -> None:
        """Do something."""
        acts = [self.submit] * 3 + [self.claim] * 4 + [self.end] * 4 + [self.renew, self.release, self.ask, self.evict]
        await self.random.choice(acts)()


def _key(registry: ProcessRegistry, rest: str) -> str:
    return f"{partition_prefix(registry.target.namespace.name, 0)}:{rest}"


def _without_times(value: Any) -> Any:
    """Return it with a word in place of each time, and without the further field and the header's uuid."""
    if isinstance(value, msgspec.Struct):
        return type(value).__name__, _without_times(msgspec.structs.asdict(value))
    if isinstance(value, dict):
        return {key: _without_times(each) for key, each in value.items() if key not in (FURTHER, "uuid")}
    if isinstance(value, list | tuple):
        return [_without_times(each) for each in value]
    if isinstance(value, float | int):
        return "then" if value > 1e12 else value
    if isinstance(value, bytes):
        return re.sub(rb"\b\d{13}\b", b"then", value)
    return re.sub(r"\b\d{13}\b", "then", value) if isinstance(value, str) else value


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("seed", range(4))
async def test_both_ways_are_one(make_registry: RegistryMaker, client: Any, namespace: str, seed: int) -> None:
    """Whatever comes, a plain row fares as one with a further field does."""
    plain, odd = make_registry(), make_registry(namespace=f"{namespace}-odd")
    for registry in (plain, odd):
        await registry.open()
    twins = Twins(plain, odd, seed)

    for _ in range(STEPS):
        await twins.step()

    await hold_the_same(client, namespace)


async def hold_the_same(client: Any, namespace: str) -> None:
    """Check what both namespaces hold."""
    held = [await keyspace(client, each) for each in (namespace, f"{namespace}-odd")]
    assert _without_times(held[0]) == _without_times(held[1])
    await assert_sound(client, namespace)


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_what_one_thing_keeps_from_ending_ends_neither_way(
    make_registry: RegistryMaker, client: Any, namespace: str, disposition: RecoveryDisposition
) -> None:
    """A lease that is not the row's, or has lapsed, is refused alike; what is asked for and kept is left alike."""
    plain, odd = make_registry(), make_registry(namespace=f"{namespace}-odd")
    for registry in (plain, odd):
        await registry.open()
    twins = Twins(plain, odd, 0)
    for number, change in enumerate(MISTAKES):
        pair = await twins.begin(work(f"p-{number}", disposition))
        changed = tuple(msgspec.structs.replace(lease, **change) for lease in pair)
        refused = "AUTHORITY" if disposition is OWNER_BOUND and "owner" in change else "LOST"
        assert await twins.ended(changed) == [refused]
        assert await twins.ended(pair) == ["DONE"]
        assert await twins.ended(pair, Failure("Late")) == ["TERMINAL"]
    lapsed = await twins.begin(work("lapsed", disposition))
    expiry = await sent(plain, "HGET", _key(plain, "p:lapsed"), "ex")
    await twins.set_in_both("lapsed", "ex", "1")
    assert await twins.ended(lapsed) == ["LOST"]
    await twins.set_in_both("lapsed", "ex", expiry)
    assert await twins.ended(await twins.begin(work("kept", disposition, keep_results_ms=1000))) == ["DONE"]
    cancelled = await twins.begin(work("cancelled", disposition))
    assert await twins.ended(cancelled, Cancelled()) == ["AUTHORITY"]
    asked = await twins.begin(work("asked", disposition))
    await twins.both("request_abandon", "asked", abandon())
    assert await twins.ended(asked) == ["DONE"]

    await hold_the_same(client, namespace)
