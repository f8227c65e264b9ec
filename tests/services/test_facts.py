"""From a row to the facts of a verdict: what each situation looks like, and that explaining is what a sweep does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import ProcessStarted
from lash_redis.core.outcomes import Success
from lash_redis.core.verdict import Action, Facts
from lash_redis.recovery.proofs_of_death import Proof
from lash_redis.recovery.settling import Judge
from lash_redis.recovery.sweep import Sweep, SweepReport
from lash_redis.recovery.verdict_facts import NothingLocal, explained, facts_of
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    begun,
    begun_and_lapsed,
    cancel,
    dead_owner,
    held,
    local_owner,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import row_of

ME = local_owner("me")
DEAD = dead_owner()


def proof_of(digest: str) -> Proof | None:
    """Prove one owner dead."""
    return Proof("replaced") if digest == owner_digest(DEAD) else None


class Hands:
    """What a worker knows: this is in its hands, and that it saw end."""

    def __init__(self, *, in_flight: bool = False, ended: bool = False) -> None:
        self._in_flight, self._ended = in_flight, ended

    def is_in_flight(self, row: Row) -> bool:
        """Say so."""
        return self._in_flight

    def saw_end(self, row: Row) -> bool:
        """Say so."""
        return self._ended


async def facts(registry: ProcessRegistry, local: Any = None) -> Facts:
    """Return the facts as ME sees them."""
    return facts_of(await row_of(registry, "p"), owner_digest(ME), proof_of, local or NothingLocal())


async def test_a_queued_row_waits_and_is_takeable(registry: ProcessRegistry) -> None:
    """No lease, no start, no request: nothing but its lane."""
    await registry.register(work())
    assert await facts(registry) == Facts(
        terminal=False, disposition=RERUNNABLE, abandon_requested=False, cancel_requested=False, takeable=True,
        in_this_worker=False, started=False, starter_dead=False, ended_here=False, losses_at_limit=False,
        expired=False, waiting=True,
    )  # fmt: skip


async def test_a_live_lease_is_not_takeable_and_a_dead_holders_is(registry: ProcessRegistry) -> None:
    """Held, not started: the proof is about the holder alone."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)
    seen = await facts(registry)
    assert (seen.takeable, seen.started, seen.waiting) == (False, False, False)
    await registry.release(lease)
    await held(registry, "p", DEAD)
    seen = await facts(registry)
    assert (seen.takeable, seen.starter_dead) == (True, False)


@pytest.mark.parametrize("ended", [False, True])
async def test_ones_own_lease_is_takeable_once_its_work_was_seen_to_end(registry: ProcessRegistry, ended: bool) -> None:
    """And only then; an incarnation never proves itself dead."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ME)
    seen = await facts(registry, Hands(ended=ended))
    assert (seen.takeable, seen.ended_here, seen.starter_dead) == (ended, ended, False)


async def test_the_end_of_anothers_work_is_not_seen_here(registry: ProcessRegistry) -> None:
    """Line 7 is for the starter alone, whatever the local side says."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ADA)
    seen = await facts(registry, Hands(ended=True))
    assert (seen.takeable, seen.ended_here) == (False, False)


async def test_the_proof_of_death_is_asked_of_the_starter(registry: ProcessRegistry) -> None:
    """A dead holder makes it takeable, and says nothing about who started it."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.record_first_started("p", ProcessStarted(ADA, 1))
    await held(registry, "p", DEAD)
    seen = await facts(registry)
    assert (seen.started, seen.takeable, seen.starter_dead) == (True, True, False)


async def test_the_loss_that_a_verdict_would_count_is_counted(registry: ProcessRegistry) -> None:
    """With a limit of one the first lapse is the last; what was only held counts nothing."""
    await registry.register(work("p", loss_limit=1))
    lease = await held(registry, "p", DEAD)
    assert not (await facts(registry)).losses_at_limit
    await registry.release(lease)
    await begun(registry, "p", DEAD)
    assert (await facts(registry)).losses_at_limit


async def test_a_settlement_trusts_a_live_lease_only_where_the_verdict_rests_on_it(registry: ProcessRegistry) -> None:
    """A dead or own holder's live lease is no difference."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", DEAD)
    row = await row_of(registry, "p")
    (judged,) = Judge(owner_digest(ME), proof_of, NothingLocal()).judged([row])
    assert judged.settlement is not None
    assert judged.settlement.even_if_live


async def test_a_settlement_of_a_lapsed_lease_stops_if_that_comes_back_to_life(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """As after a server's clock has stepped back: its holder is neither dead nor done."""
    await registry.register(work("p"))
    await begun_and_lapsed(registry, server, "p", ADA)
    (judged,) = Judge(owner_digest(ME), proof_of, NothingLocal()).judged([await row_of(registry, "p")])
    assert judged.settlement is not None
    assert not judged.settlement.even_if_live


Situation = Callable[[ProcessRegistry, ServerTime], Awaitable[object]]


async def _queued(registry: ProcessRegistry, _server: ServerTime) -> None:
    await registry.register(work())


async def _terminal(registry: ProcessRegistry, _server: ServerTime) -> None:
    await registry.register(work())
    await registry.complete(await begun(registry, "p", ADA), Success(1))


async def _outside(registry: ProcessRegistry, _server: ServerTime) -> None:
    await registry.register(outside())


async def _outside_asked(registry: ProcessRegistry, _server: ServerTime) -> None:
    await registry.register(outside())
    await registry.request_abandon("p", abandon())


async def _held_by_the_living(registry: ProcessRegistry, _server: ServerTime) -> None:
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", BOB)


async def _started_by_the_dead(registry: ProcessRegistry, _server: ServerTime) -> None:
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", DEAD)


async def _silent(registry: ProcessRegistry, server: ServerTime) -> None:
    await registry.register(work("p", OWNER_BOUND))
    await begun_and_lapsed(registry, server, "p", ADA)


async def _silent_and_asked(registry: ProcessRegistry, server: ServerTime) -> None:
    await _silent(registry, server)
    await registry.request_abandon("p", abandon())


async def _cancelled_and_lapsed(registry: ProcessRegistry, server: ServerTime) -> None:
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel())
    await server.end(registry, lease)


async def _lost_too_often(registry: ProcessRegistry, server: ServerTime) -> None:
    await registry.register(work("p", loss_limit=1))
    await begun_and_lapsed(registry, server, "p", ADA)


async def _lapsed(registry: ProcessRegistry, server: ServerTime) -> None:
    await registry.register(work())
    await begun_and_lapsed(registry, server, "p", ADA)


SITUATIONS: dict[Situation, tuple[int, SweepReport]] = {
    _terminal: (1, SweepReport()),
    _outside_asked: (2, SweepReport(abandoned=1)),
    _outside: (3, SweepReport()),
    _held_by_the_living: (4, SweepReport()),
    _started_by_the_dead: (6, SweepReport(abandoned=1)),
    _silent_and_asked: (8, SweepReport(abandoned=1)),
    _silent: (9, SweepReport(uncertain=1)),
    _cancelled_and_lapsed: (10, SweepReport(cancelled=1)),
    _lost_too_often: (11, SweepReport(abandoned=1)),
    _queued: (13, SweepReport()),
    _lapsed: (14, SweepReport(requeued=1)),
}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__.strip("_"))
async def test_what_is_explained_is_what_a_sweep_does(
    registry: ProcessRegistry, server: ServerTime, situation: Situation
) -> None:
    """``show`` names the line that the row meets now, by the very function that the sweep calls."""
    line, done = SITUATIONS[situation]
    await situation(registry, server)

    _, answer = explained(await row_of(registry, "p"), owner_digest(ME), proof_of, NothingLocal())

    assert answer.line == line
    assert await Sweep(registry, ME).run_once() == done
    if answer.action is Action.LEAVE:
        assert done == SweepReport()


async def test_what_a_worker_is_in_flight_is_left_by_its_own_sweep(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Line 5: lapsed or not, the worker writes it, having claimed again."""
    await registry.register(work("p", OWNER_BOUND))
    await begun_and_lapsed(registry, server, "p", ME)
    row = await row_of(registry, "p")

    assert explained(row, owner_digest(ME), proof_of, Hands(in_flight=True))[1].line == 5
    assert await Sweep(registry, ME, Hands(in_flight=True)).run_once() == SweepReport()
    assert await Sweep(registry, LeaseOwner.opaque("other", "other-1")).run_once() == SweepReport(uncertain=1)
