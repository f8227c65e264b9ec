"""The trust window: how long a holder may believe in its lease, and what it does when it may not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lash_redis.core import timing
from lash_redis.core.model import ProcessLease
from lash_redis.registry.answers import RenewedRow
from lash_redis.registry.codec import encode_values
from lash_redis.worker.attempt import Attempt, Stop
from lash_redis.worker.lease_keeper import LeaseKeeper, Renewal
from lash_redis.worker.roster import Roster
from lash_redis.worker.trust import margin_ms
from tests.conformance.actors import ADA, claimed_row
from tests.support import StillClock, wait_until

TTL_MS = 30_000


@pytest.fixture
def clock() -> Iterator[StillClock]:
    """Put a still clock in the place of the machine's."""
    clock = StillClock()
    with timing.use(clock):
        yield clock


class Kept:
    """A keeper, its roster, and what it asked for."""

    def __init__(self) -> None:
        self.lost: list[str] = []
        self.unknown: list[str] = []
        self.roster = Roster()
        self.keeper = LeaseKeeper(
            self.roster,
            TTL_MS,
            lambda process_id: int(process_id[-1]),
            lambda attempt: self.lost.append(attempt.process_id),
            lambda row: self.unknown.append(row.process_id),
        )

    def attempt(self, process_id: str = "p0", *, bound: bool = False) -> Attempt:
        """Return an attempt that runs, its lease claimed now."""
        lease = _lease(process_id)
        attempt = Attempt(lease, claimed_row(lease, bound=bound), 0)
        attempt.trust(timing.boottime_ms(), TTL_MS)
        self.roster.add(attempt)
        return attempt

    def renewed(
        self,
        *process_ids: str,
        sent_at_ms: int,
        partition: int = 0,
        token: str = "",
        cancel: bytes = b"",
        abandon: bytes = b"",
    ) -> None:
        """Take a renewal that named these processes."""
        rows = [RenewedRow("ada", each, token or f"t-{each}", 1, cancel, abandon) for each in process_ids]
        self.keeper.apply(Renewal(partition, sent_at_ms, rows))


def _lease(process_id: str) -> ProcessLease:
    return ProcessLease(process_id, ADA, f"t-{process_id}", 1, 0, 0)


@pytest.fixture
def kept(clock: StillClock) -> Kept:
    """Return a keeper under the still clock."""
    return Kept()


@pytest.mark.parametrize(("ttl_ms", "margin"), [(1_000, 500), (5_000, 500), (5_010, 501), (30_000, 3_000)])
def test_the_margin_is_a_tenth_and_at_least_half_a_second(ttl_ms: int, margin: int) -> None:
    """The larger of 10 % and 500 ms (rule 6.1)."""
    assert margin_ms(ttl_ms) == margin


def test_trust_counts_from_before_the_call_was_sent(kept: Kept, clock: StillClock) -> None:
    """The start of the last successful claim or renewal + TTL - margin, whenever the answer came."""
    attempt = kept.attempt()
    assert attempt.trusted_until_ms == 1_000_000 + 27_000
    clock.now_ms += 12_000
    kept.renewed("p0", sent_at_ms=1_010_000)
    assert attempt.trusted_until_ms == 1_010_000 + 27_000


def test_an_answer_that_comes_late_never_shortens_trust(kept: Kept, clock: StillClock) -> None:
    """Of two answers out of order the later call counts."""
    attempt = kept.attempt()
    clock.now_ms += 20_000
    kept.renewed("p0", sent_at_ms=1_020_000)
    kept.renewed("p0", sent_at_ms=1_010_000)
    assert attempt.trusted_until_ms == 1_047_000


@pytest.mark.parametrize(("after_ms", "stopped"), [(26_999, False), (27_000, True)])
def test_rerunnable_work_is_stopped_when_trust_ends(
    kept: Kept, clock: StillClock, after_ms: int, stopped: bool
) -> None:
    """At that millisecond, three seconds before its lease ends."""
    attempt = kept.attempt()
    clock.now_ms += after_ms
    kept.keeper.step()
    assert (attempt.stop is Stop.TRUST) == stopped


def test_owner_bound_work_goes_on_without_trust(kept: Kept, clock: StillClock) -> None:
    """Nobody else may ever run it, so that stopping it only loses."""
    attempt = kept.attempt(bound=True)
    clock.now_ms += 10 * TTL_MS
    kept.keeper.step()
    assert attempt.stop is None


def test_what_a_renewal_does_not_list_was_not_renewed(kept: Kept, clock: StillClock) -> None:
    """Rerunnable work is stopped at once; owner-bound work is to be claimed again."""
    again, bound = kept.attempt("a0"), kept.attempt("b0", bound=True)
    clock.now_ms += 10_000
    kept.renewed(sent_at_ms=clock.now_ms)
    assert again.stop is Stop.TRUST
    assert bound.stop is None
    assert kept.lost == ["b0"]


def test_a_renewal_says_nothing_about_other_partitions_or_later_leases(kept: Kept, clock: StillClock) -> None:
    """Claimed after it was sent, or in another partition, or ended already: it is not in the answer, and not lost."""
    elsewhere, ended = kept.attempt("p1"), kept.attempt("e0")
    kept.roster.end(ended)
    clock.now_ms += 10_000
    later = kept.attempt("p0")
    kept.renewed(sent_at_ms=clock.now_ms - 1)
    kept.renewed(sent_at_ms=clock.now_ms)
    assert (elsewhere.stop, ended.stop, later.stop, kept.lost) == (None, None, None, [])


@pytest.mark.parametrize("kind", ["cancel", "abandon"])
def test_a_request_in_a_renewal_reaches_the_work(kept: Kept, kind: str) -> None:
    """With its reason, once."""
    attempt = kept.attempt()
    stops: list[None] = []
    attempt.interrupt = lambda: stops.append(None)
    for _ in range(3):
        request = encode_values("ops", 1, "enough")
        if kind == "cancel":
            kept.renewed("p0", sent_at_ms=1_000_000, cancel=request)
        else:
            kept.renewed("p0", sent_at_ms=1_000_000, abandon=request)
    assert (attempt.stop, attempt.reason, len(stops)) == (Stop.REQUESTED, "enough", 1)


def test_a_lease_that_is_not_known_here_is_reported(kept: Kept) -> None:
    """Unknown is another token too: a copy of a claim made it, and would be renewed for ever."""
    attempt = kept.attempt("p0")
    kept.renewed("q0", sent_at_ms=1_000_000)
    kept.renewed("p0", sent_at_ms=1_000_000, token="another")
    assert kept.unknown == ["q0", "p0"]
    assert attempt.stop is None


def test_who_cannot_renew_may_not_claim(kept: Kept, clock: StillClock) -> None:
    """Two thirds of the TTL after its last renewal began, and again once one is answered."""
    clock.now_ms += 19_999
    assert kept.keeper.may_claim(0)
    clock.now_ms += 1
    assert not kept.keeper.may_claim(0)
    kept.renewed(sent_at_ms=clock.now_ms)
    assert kept.keeper.may_claim(0)


def test_a_partition_that_cannot_be_renewed_stops_no_claims_elsewhere(kept: Kept, clock: StillClock) -> None:
    """Each partition has a last renewal of its own."""
    clock.now_ms += 20_000
    kept.renewed(sent_at_ms=clock.now_ms, partition=1)
    assert (kept.keeper.may_claim(0), kept.keeper.may_claim(1)) == (False, True)


async def test_one_timer_stops_what_is_untrusted(kept: Kept, clock: StillClock) -> None:
    """It looks often enough that what it finds is stopped within the margin, before the lease ends."""
    stopped_at: list[int] = []
    kept.attempt().interrupt = lambda: stopped_at.append(clock.now_ms)
    watching = asyncio.create_task(kept.keeper.run())
    await wait_until(lambda: stopped_at, "it is stopped")
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert 1_000_000 + TTL_MS - margin_ms(TTL_MS) <= stopped_at[0] < 1_000_000 + TTL_MS
