"""When a run that failed is made again: how long it waits, after which errors, and what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core import timing
from lash_redis.core.errors import SettingsError
from lash_redis.core.retrying import Again, Retries, Retry, Snooze, again_after
from lash_redis.core.unique import Unique

PLAIN = Retries(attempts=5, first=2, factor=3, most=60, jitter=0)


class Chance(timing.Clock):
    """A clock whose chance is put."""

    def __init__(self, fraction: float) -> None:
        self.fraction = fraction

    def random_fraction(self) -> float:
        """Return what was put."""
        return self.fraction


def test_each_wait_is_longer_than_the_one_before_up_to_the_longest() -> None:
    """Also after more runs than a float can count."""
    assert [PLAIN.wait_ms(run) for run in (1, 2, 3, 4, 5)] == [2000, 6000, 18_000, 54_000, 60_000]
    assert PLAIN.wait_ms(1_000_000) == 60_000
    assert Retries(first=0, factor=3, most=60).wait_ms(1_000_000) == 0
    assert Retries(first=1, factor=1.001, most=60, jitter=0).wait_ms(1_000_000) == 60_000
    assert Retries(first=dt.timedelta(seconds=1), factor=1, most=5, jitter=0).wait_ms(9) == 1000


@pytest.mark.parametrize(("fraction", "wait_ms"), [(0.0, 1000), (0.5, 2000), (0.999999, 3000)])
def test_chance_moves_a_wait_by_at_most_its_jitter(fraction: float, wait_ms: int) -> None:
    """Either way, so that what failed together comes back spread."""
    with timing.use(Chance(fraction)):
        assert Retries(first=2, jitter=0.5).wait_ms(1) == wait_ms


def test_an_error_is_tried_again_by_its_class() -> None:
    """Those that are never tried win."""
    retries = Retries(attempts=7, first=1, jitter=0, on=(OSError, ValueError), never=FileNotFoundError)

    assert again_after(OSError(), 1, retries) == Again(1000, 7)
    assert again_after(UnicodeError(), 2, retries) == Again(2000, 7)
    assert again_after(FileNotFoundError(), 1, retries) is None
    assert again_after(KeyError(), 1, retries) is None
    assert again_after(OSError(), 1, None) is None


def test_what_the_code_asks_for_goes_before_what_is_declared() -> None:
    """A retry without a wait of its own takes the declared one; without retries nothing limits it."""
    assert again_after(Retry(after=0.5), 1, PLAIN) == Again(500, 5)
    assert again_after(Retry(), 2, PLAIN) == Again(6000, 5)
    assert again_after(Retry(after=1), 1, None) == Again(1000, None)
    assert again_after(Snooze(dt.timedelta(minutes=1)), 3, PLAIN) == Again(60_000, counts=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("attempts", 0), ("attempts", "5"), ("first", -1), ("first", "1"), ("factor", 0.5), ("factor", float("nan")),
     ("most", None), ("jitter", 1.5), ("jitter", True), ("on", "OSError"), ("on", (OSError, 1)), ("never", OSError())],
)  # fmt: skip
def test_a_bad_value_is_refused_where_it_is_written(name: str, value: Any) -> None:
    """With its name, what is allowed, and the value."""
    with pytest.raises(SettingsError, match=f"expected {name} to be .*, got "):
        Retries(**{name: value})


def test_the_longest_wait_is_no_shorter_than_the_first() -> None:
    """A first wait of an hour would be cut to ten minutes, and nobody would be told."""
    with pytest.raises(SettingsError, match=r"expected most to be no shorter than first, which is 3600, got 600\.0"):
        Retries(first=3600)
    assert Retries(first=3600, most=3600, jitter=0).wait_ms(3) == 3_600_000


def test_a_wait_in_place_of_the_reason_is_told_how_to_be_given() -> None:
    """``Retry(5)`` is what one writes who has only seen ``Snooze(5)``."""
    with pytest.raises(SettingsError, match=r"expected reason to be text, got 5: .*, Retry\(after=\.\.\.\)"):
        Retry(5)  # type: ignore[arg-type]


def test_a_wait_that_the_code_asks_for_is_checked() -> None:
    """The error that it meets is one of ours, which is an ordinary failure of the run."""
    with pytest.raises(SettingsError, match="expected after to be"):
        Retry(after=-1)
    with pytest.raises(SettingsError, match="expected after to be"):
        Snooze("soon")  # type: ignore[arg-type]
    for beyond_a_float in (1e306, 10**400, float("nan")):
        with pytest.raises(SettingsError, match=r"expected after to be .* from 0 s to 100 years"):
            Snooze(beyond_a_float)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Retries(max_retries=3), "of Retries to be among attempts, .*, got 'max_retries'"),  # type: ignore[call-arg]
        (lambda: Retries(attempt=3), r"of Retries .*, got 'attempt': did you mean 'attempts'\?"),  # type: ignore[call-arg]
        (lambda: Retries(3), "of Retries to be among attempts, .*, got 3 without a name"),  # type: ignore[call-arg]
        (lambda: Unique(keys="a"), "of Unique to be among by, key, .*, got 'keys'"),  # type: ignore[call-arg]
    ],
)
def test_an_argument_that_there_is_not_is_refused_with_those_that_there_are(
    made: Callable[[], object], said: str
) -> None:
    """In place of Python's words, which name neither the class nor what it takes."""
    with pytest.raises(SettingsError, match=said):
        made()
