"""Every kind of answer to every call of a worker's loops: all work is done once, and nothing is lost or left uncertain.

Each case strikes one call for a moment, first while the worker works and again while it drains.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from lash_redis.core.model import DrainReport, ProcessStatus
from lash_redis.core.outcomes import Failure, Success
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.attempt import Attempt, Stop
from lash_redis.worker.ending import How
from lash_redis.worker.run_end import RunEnd
from lash_redis.worker.worker import Worker
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, begun, cancel, dead_owner, work
from tests.conftest import Backend
from tests.fault_kinds import FAULT_KINDS, FaultKind
from tests.look import ended, outcomes, record_of
from tests.proxy import Proxy
from tests.servers import Servers
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until

BOUND = "owner_bound"
STRIKES = 4  # more than a call is sent again by itself

# What a lost answer leaves in doubt is tried with every kind that comes after. Of the kinds that come before, each call
# gets some, and each kind strikes a write and something else.
WRITES: Final = ("claim_next", "close_claims", "terminalize", "claim", "release", "unstart", "settle")
OTHERS: Final = ("name_lanes", "renew_owned", "page", "glance", "holders", "get", "wake", "other_lanes", "SUBSCRIBE")
BEFORE: Final = [kind for kind in FAULT_KINDS if kind.before]
AFTER: Final = [kind for kind in FAULT_KINDS if not kind.before]


def _cases() -> Iterator[tuple[str, FaultKind]]:
    for number, call in enumerate(WRITES):
        yield from ((call, kind) for kind in AFTER)
        yield from ((call, kind) for kind in BEFORE[number :: len(WRITES)])
    for number, call in enumerate(OTHERS):
        yield from ((call, kind) for kind in BEFORE[number :: len(OTHERS)])
    yield from (("renew_owned", kind) for kind in AFTER[::3])


@pytest.fixture
def backend(servers: Servers) -> Backend:
    """Return one real server: what it answers is the proxy's to say."""
    return Backend("valkey", url=servers["valkey"].url)


class Day:
    """A worker's day on which it makes every call: the work, and what has become of it."""

    def __init__(self, crew: Crew, registry: ProcessRegistry, far: ProcessRegistry) -> None:
        self.registry = registry
        self.again, self.once, self.held = Bench(is_open=True), Bench(is_open=True), Bench()
        self.worker: Worker = crew.worker(
            self.again.task(), self.once.task(BOUND, name="once"), self.held.task(name="held"),
            self.held.task(BOUND, name="held-once"), registry=far, sweep_ms=50, poll_ms=100, grace_ms=0,
            interrupt_ms=5_000, last_writes_ms=15_000, concurrency=16, lease_ttl_ms=6_000,
        )  # fmt: skip
        self._unstarted = 0
        self._begin = self.worker.probe.in_flight.runner.begin
        self.worker.probe.in_flight.runner.begin = self._refuse_once  # type: ignore[method-assign]

    def _refuse_once(self, attempt: Attempt) -> None:
        if attempt.process_id == "unstarted" and not self._unstarted:
            self._unstarted += 1
            self.worker.probe.in_flight._on_end(  # noqa: SLF001 - as the runner says it
                attempt, RunEnd(How.NEVER_BEGAN, Failure("RuntimeError", "can't start new thread"))
            )
        else:
            self._begin(attempt)

    async def register(self) -> None:
        """Register all work; one piece was started by an owner that is dead."""
        await self.registry.register(work("dead", OWNER_BOUND, "dead"))
        await begun(self.registry, "dead", dead_owner())
        await self.registry.register_many(
            [work(f"again-{number}", RERUNNABLE, f"again-{number}") for number in range(3)]
            + [work(f"once-{number}", OWNER_BOUND, f"once-{number}", task="once") for number in range(3)]
            + [work("unstarted", OWNER_BOUND, "unstarted", task="once")]
            + [work(each, RERUNNABLE, each, task="held") for each in ("back", "asked")]
            + [work(each, OWNER_BOUND, each, task="held-once") for each in ("lapsed", "stay")]
        )

    async def pass_by(self) -> None:
        """Let all that can happen to work happen, but for the drain."""
        await wait_until(lambda: set(self.held.begun) == {"back", "asked", "lapsed", "stay"}, "all has begun", 20)
        attempts = {each: self.worker.probe.attempt(each) for each in ("back", "lapsed")}
        assert attempts["back"] is not None
        assert attempts["lapsed"] is not None
        await self.registry.release(attempts["lapsed"].lease)
        attempts["back"].ask_to_stop(Stop.TRUST)
        await self.registry.request_cancel("asked", cancel())
        self.worker.probe.wake_ups.received(0, "lane default|of another release|")
        self.held.let_go("lapsed")
        assert (await ended(self.registry, "lapsed", 20)).outcome == Success("lapsed done")
        await wait_until(lambda: self.held.begun.count("back") == 2, "it runs again", 20)
        self.held.let_go("back")
        names = [f"again-{number}" for number in range(3)] + [f"once-{number}" for number in range(3)]
        names += ["unstarted", "back"]
        assert await outcomes(self.registry, *names) == [Success(f"{each} done") for each in names]
        assert (await ended(self.registry, "asked", 20)).status is ProcessStatus.CANCELLED
        assert (await ended(self.registry, "dead", 20)).status is ProcessStatus.ABANDONED

    async def ends_well(self, report: DrainReport) -> None:
        """Look that nothing was done twice, and that the drain settled what it stopped."""
        assert sorted(self.again.begun) == [f"again-{number}" for number in range(3)]
        assert sorted(self.once.begun) == [f"once-{number}" for number in range(3)] + ["unstarted"]
        assert sorted(self.held.begun) == ["asked", "back", "back", "lapsed", "stay"]
        assert (report.abandoned, report.deferred) == (["stay"], [])
        assert (await record_of(self.registry, "stay")).status is ProcessStatus.ABANDONED
        assert (await self.registry.list_non_terminal(10)).records == []


@pytest.fixture
async def day(registry: ProcessRegistry, far_registry: ProcessRegistry, crew: Crew) -> Day:
    """Return a worker's day, all of whose work is registered."""
    made = Day(crew, registry, far_registry)
    await made.register()
    await far_registry.open()
    return made


@pytest.mark.parametrize(("call", "kind"), list(_cases()), ids=str)
async def test_whatever_a_call_is_answered_all_work_is_done_once(
    day: Day, crew: Crew, proxy: Proxy, call: str, kind: FaultKind
) -> None:
    """After the fault has passed nothing is lost, repeated, uncertain or falsely abandoned."""
    fault = kind.strike(proxy, call, times=STRIKES)
    async with crew.running(day.worker):
        await day.pass_by()
        kind.strike(proxy, call, times=STRIKES)
        report = await day.worker.drain()
    assert fault.struck
    await day.ends_well(report)


def test_every_kind_strikes_and_every_call_is_struck() -> None:
    """The cases are a choice; none is left out whole."""
    cases = list(_cases())
    assert {str(kind) for _, kind in cases} == {str(kind) for kind in FAULT_KINDS}
    assert {call for call, _ in cases} == {*WRITES, *OTHERS}
