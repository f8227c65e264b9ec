"""Clocks, waiting and randomness, and the seam by which a test replaces them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator

import pytest

from lash_redis.core import timing


class SteeredClock(timing.Clock):
    """A clock that moves only when somebody waits, and draws what the test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.fraction = 0.5
        self.fill = 0

    def boottime_ms(self) -> int:
        """Return the steered moment."""
        return int(self.now_s * 1000)

    def wall_ms(self) -> int:
        """Return the steered moment, long after 1970."""
        return 1_000_000 + int(self.now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.now_s += seconds

    def pause(self, seconds: float) -> None:
        """Move on at once."""
        self.now_s += seconds

    def random_bytes(self, count: int) -> bytes:
        """Draw the same byte again and again."""
        return bytes([self.fill]) * count

    def random_fraction(self) -> float:
        """Draw the steered fraction."""
        return self.fraction


@pytest.fixture
def clock() -> Iterator[SteeredClock]:
    """Put a steered clock in the machine's place."""
    steered = SteeredClock()
    with timing.use(steered):
        yield steered


def test_the_trust_clock_runs_on_with_the_machine_and_never_back() -> None:
    """The clock of leases is that of the boot, in milliseconds."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    seen = [timing.boottime_ms() for _ in range(100)]
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert before // 1_000_000 <= seen[0] <= seen[-1] <= after // 1_000_000
    assert seen == sorted(seen)


def test_without_a_boot_clock_the_monotonic_one_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the platform has no CLOCK_BOOTTIME, trust still never depends on a clock that steps."""
    monkeypatch.setattr(timing, "BOOT_CLOCK", None)
    before = time.monotonic_ns() // 1_000_000
    assert before <= timing.boottime_ms() <= time.monotonic_ns() // 1_000_000


def test_the_wall_clock_counts_milliseconds_since_1970() -> None:
    """The wall clock is that of the machine, in milliseconds."""
    assert time.time() * 1000 - 5 <= timing.wall_ms() <= time.time() * 1000 + 5


def test_a_sleep_and_a_pause_last_as_long_as_they_say() -> None:
    """Both waits take seconds."""
    before = time.monotonic()
    timing.pause(0.01)
    asyncio.run(timing.sleep(0.01))
    assert time.monotonic() - before >= 0.02


def test_a_replaced_clock_answers_everything(clock: SteeredClock) -> None:
    """Time, waiting and randomness all go through the one seam, so that a simulation steers them together."""
    timing.pause(1.5)
    asyncio.run(timing.sleep(60))
    assert timing.boottime_ms() == 161_500
    assert timing.wall_ms() == 1_161_500
    assert timing.random_token() == "A" * 22
    assert timing.new_incarnation_id() == "0" * 32
    assert timing.jittered(10, 0.2) == 10


def test_the_machine_has_its_clock_back_when_the_block_ends_however_it_ends() -> None:
    """Clocks nest, and an error inside does not leave one behind."""
    outer, inner = SteeredClock(), SteeredClock()
    outer.now_s, inner.now_s = 1.0, 2.0

    def fail_inside() -> None:
        with timing.use(inner):
            assert timing.boottime_ms() == 2000
            raise RuntimeError

    with timing.use(outer):
        with pytest.raises(RuntimeError):
            fail_inside()
        assert timing.boottime_ms() == 1000
    assert abs(timing.boottime_ms() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000) < 1000


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 8.0), (0.25, 9.0), (0.5, 10.0), (0.75, 11.0)])
def test_jitter_spreads_both_ways_around_the_value(clock: SteeredClock, fraction: float, expected: float) -> None:
    """Twenty per cent of jitter is that much less at one end and that much more at the other."""
    clock.fraction = fraction
    assert timing.jittered(10, 0.2) == pytest.approx(expected)


def test_no_jitter_is_the_value_itself() -> None:
    """A fraction of nothing changes nothing."""
    assert {timing.jittered(5, 0) for _ in range(20)} == {5}


@pytest.mark.parametrize(
    ("mint", "shape"),
    [(timing.random_token, r"[A-Za-z0-9_-]{22}"), (timing.new_incarnation_id, r"[0-9a-f]{32}")],
    ids=["token", "incarnation"],
)
def test_a_minted_name_is_128_random_bits_that_may_be_an_id(mint: Callable[[], str], shape: str) -> None:
    """Names are minted without asking anybody, so no two may be alike."""
    minted = [mint() for _ in range(1000)]
    assert len(set(minted)) == 1000
    assert all(re.fullmatch(shape, name) for name in minted)


@pytest.mark.parametrize(
    ("failures", "wait_s"),
    [(-1, 0.0), (0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 10.0), (7, 10.0), (10**6, 10.0)],
)
def test_backoff_is_at_once_then_doubles_up_to_its_most(failures: int, wait_s: float) -> None:
    """A crashed worker process restarts at once, then after 0.5 s doubling to 10 s."""
    assert timing.backoff(failures, 0.5, 10.0) == wait_s


def test_backoff_never_waits_longer_than_its_most() -> None:
    """A first wait above the most is the most."""
    assert timing.backoff(1, 30.0, 10.0) == 10.0


def test_tokens_that_are_made_at_once_are_as_those_that_are_made_one_by_one() -> None:
    """No two are alike, and each has 22 characters that a process id may have."""
    tokens = timing.random_tokens(500)

    assert len({*tokens, timing.random_token()}) == 501
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", each) for each in tokens)
    assert timing.random_tokens(0) == []
