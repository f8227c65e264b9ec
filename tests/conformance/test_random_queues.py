"""Random transitions of paused, bounded and unique work, with answers that are lost and calls that come twice or late.

After them nothing contradicts, no bound was exceeded by a new row, what was replaced never ran, and what ended never
changed. The seed is in the name of the test.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from lash_redis.core import timing
from lash_redis.core.bounds import QueueBound
from lash_redis.core.errors import (
    AlreadyTerminal,
    CannotAwait,
    NotUnique,
    QueueFull,
    RegistryUnavailable,
    UnknownProcess,
)
from lash_redis.core.model import PauseRequest, ProcessRecord, ProcessRegistration
from lash_redis.core.outcomes import Cancelled, Success
from lash_redis.core.unique import Unique
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, BOB, LANE, LONG_MS, batch_claim, cancel, work
from tests.soundness import assert_sound, keyspace
from tests.support import StillClock

T = TypeVar("T")

STEPS = 180
CHECK_EVERY = 50
MOST = 3  # in each partition
ROUTES = ("a", "b", "c")
SERVED = (("default", (LANE,)), ("mail", (LANE.replace("default", "mail"),)))
UNIQUE: tuple[dict[str, Any], ...] = (
    {},
    {"on_duplicate": "refuse"},
    {"on_duplicate": "replace"},
    *[{"on_duplicate": "replace", "until": "end"}] * 4,
    *[{"on_duplicate": "debounce", "longest": 600}] * 2,
    {"within": 60},
    {"until": "start"},
)


class World:
    """What a test has done so far, and what must be so."""

    def __init__(self, registry: ProcessRegistry, seed: int) -> None:
        self.registry, self.random = registry, random.Random(seed)
        self.numbers = iter(range(10_000))
        self.ids: list[str] = []
        self.late: list[ProcessRegistration] = []
        self.ended: dict[str, ProcessRecord] = {}
        self.paused: set[str] = set()
        self.leases: list[Any] = []
        self.ran: set[str] = set()
        self.duplicates: list[tuple[str, str]] = []
        self.full: list[tuple[str, bool]] = []
        self.answered: list[tuple[str, str]] = []
        self.replaced = set[str]()
        self.awaited: dict[str, int | None] = {}  # by id, when it becomes due

    async def submit(self) -> None:
        """Submit something new, or a late copy of what was submitted before."""
        pick = self.random
        route = pick.choice(ROUTES)
        if self.late and pick.random() < 0.25:
            chosen = [pick.choice(self.late)]
        else:
            how = pick.choice(UNIQUE)
            chosen = [
                work(
                    f"{route}::{next(self.numbers)}",
                    queue=pick.choice(("default", "mail")),
                    delay_ms=pick.randint(LONG_MS, 2 * LONG_MS)
                    if how.get("on_duplicate") == "debounce"
                    else pick.choice((0, 0, LONG_MS)),
                    unique=Unique(key=route, **how) if pick.random() < 0.7 else None,
                )
                for _ in range(pick.randint(1, 3))
            ]
        self.late += chosen
        self.ids += [each.id for each in chosen]
        try:
            stand = await self.registry.submit_many(chosen)
        except NotUnique as error:
            self.duplicates.append((error.process_id, error.refused_id))
        except QueueFull as error:
            self.full.append((error.queue, error.waiting + len(chosen) > error.most_waiting == MOST))
        else:
            self.answered += zip([each.partition("::")[0] for each in stand], [each.id for each in chosen], strict=True)

    async def await_one(self) -> None:
        """Let another process wait for one that was submitted: from then on nothing takes its place or puts it off."""
        if not self.ids:
            return
        awaited = self.random.choice(self.ids[-6:])
        waits = f"{awaited.partition('::')[0]}::{next(self.numbers)}"
        await self.registry.register(work(waits, queue="other", after=(awaited,), if_failed="run"))
        record = await _surely(self.registry.get, awaited)
        if record is not None and not record.is_terminal:
            self.awaited[awaited] = record.due_at_ms

    async def pause(self) -> None:
        """Pause a queue, or resume it."""
        queue = self.random.choice(("default", "mail"))
        if queue in self.paused:
            self.paused.remove(queue)  # nothing is known of it until the answer has come
            await self.registry.resume(queue=queue)
        else:
            await self.registry.pause(PauseRequest("ada", 1), queue=queue)
            self.paused.add(queue)

    async def claim(self) -> None:
        """Claim in one partition: nothing of a paused queue comes."""
        partition = self.registry.partition_of(f"{self.random.choice(ROUTES)}::")
        claim = batch_claim(self.registry, self.random.choice((ADA, BOB)), count=2, partition=partition, served=SERVED)
        for row in (await self.registry.claim_next(claim)).rows:
            assert row.lane.partition("|")[0] not in self.paused
            self.leases.append(row)
            self.ran.add(row.process_id)

    async def end(self) -> None:
        """End, release or unstart what runs."""
        if not self.leases:
            return
        row = self.leases.pop(self.random.randrange(len(self.leases)))
        record = await self.registry.lease(row.process_id)
        if record is None or record.token != row.token:
            return
        do = self.random.choice((self._complete, self.registry.release_many, self.registry.unstart_many))
        if do == self.registry.unstart_many:  # it says that no code was entered
            self.ran.discard(row.process_id)
        await do([record])

    async def _complete(self, leases: list[Any]) -> None:
        (lease,) = leases
        await self.registry.terminalize_many([TerminalFact(lease, *self.registry.encoded(Success()))])

    async def cancel(self) -> None:
        """Cancel something, or forget what has ended, of which nothing is submitted again then."""
        if self.late and self.random.random() < 0.8:
            await self.registry.request_cancel(self.random.choice(self.late).id, cancel())
        else:
            self.late.clear()
            await self.registry.prune(before_ms=2**52)

    async def bound(self) -> None:
        """Send the bound once more, or a lower revision of it."""
        most = MOST * self.registry.partitions
        await self.registry.bound_queue(QueueBound("default", most if self.random.random() < 0.7 else 99 * most, 2))

    async def look(self, client: Any) -> None:
        """Check what must be so at any time."""
        await assert_sound(client, self.registry.namespace)
        for keys in (await keyspace(client, self.registry.namespace)).values():
            assert "new:default" not in keys or len(keys["new:default"].value) <= MOST
        for id_ in self.ids:
            record = await _surely(self.registry.get, id_)
            if record is None or not record.is_terminal:
                assert record is None or record.due_at_ms in (None, self.awaited.get(id_, record.due_at_ms)), "moved"
                continue
            assert self.ended.setdefault(id_, record) == record, "what ended changed"
            if isinstance(record.outcome, Cancelled) and record.outcome.reason != "enough":
                assert (record.outcome.reason or "").startswith("replaced by ")
                assert id_ not in self.ran, "what was replaced ran"
                assert id_ not in self.awaited, "what others await was replaced"
                self.replaced.add(id_)


class Unreliable:
    """Loses every few answers of the transport, after the script ran or before."""

    def __init__(self, registry: ProcessRegistry, pick: random.Random) -> None:
        self._run, self._pick = registry.sender.transport.run, pick
        registry.sender.transport.run = self.run  # type: ignore[method-assign]

    async def run(self, script: Any, header: str, args: Any, *, shebang: bool) -> list[Any]:
        """Run it, or lose it."""
        fate = self._pick.random()
        if fate < 0.1:
            raise RegistryUnavailable(script.name, "the request was lost", maybe_applied=True)
        reply = await self._run(script, header, args, shebang=shebang)
        if fate > 0.9:
            raise RegistryUnavailable(script.name, "the answer was lost", maybe_applied=True)
        return reply


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_contradicts_after_random_steps_of_paused_bounded_and_unique_work(
    registry: ProcessRegistry, client: Any, seed: int
) -> None:
    """With lost, late and repeated calls."""
    world = World(registry, seed)
    await registry.bound_queue(QueueBound("default", MOST * registry.partitions, 2))
    Unreliable(registry, world.random)
    steps = (
        [world.submit] * 6
        + [world.claim] * 5
        + [world.end] * 3
        + [world.cancel, world.bound, world.pause, *[world.await_one] * 3]
    )

    with timing.use(StillClock()):  # what is lost is sent again at once
        for number in range(STEPS):
            with contextlib.suppress(RegistryUnavailable, UnknownProcess, AlreadyTerminal, CannotAwait):
                await world.random.choice(steps)()
            if number % CHECK_EVERY == 0:
                await world.look(client)
                world.paused = {each.queue or "" for each in await _surely(_whole, registry)}
        await world.look(client)
    assert all(one != two for one, two in world.duplicates)
    assert all(id_.startswith(f"{route}::") for route, id_ in world.answered)
    assert set(world.full) == {("default", True)}
    assert all([world.ran, world.replaced, world.awaited, world.duplicates]), "not everything was tried"


async def _whole(registry: ProcessRegistry) -> list[Any]:
    """Pause all that is paused in some partitions only; return what is paused."""
    for half in await registry.pauses():
        await registry.pause(half.request, queue=half.queue)
    return await registry.pauses()


async def _surely(call: Callable[[T], Awaitable[Any]], about: T) -> Any:
    """Return what a call answers, however often it is lost."""
    while True:
        with contextlib.suppress(RegistryUnavailable):
            return await call(about)
