"""One wait: what it accepts, and what it says when it took too long."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.wait import Wait, after_outage_s, ended_id, until_reread_s
from lash_redis.core.errors import OutcomePruned, RegistryUnavailable, SettingsError, UnknownProcess

OUTAGE = RegistryUnavailable("watch", "no route", maybe_applied=False)


def wait(**options: Any) -> Wait:
    """Return a wait for ``p``."""
    return Wait("p", **({"known": False, "raise_uncertain": False, "timeout": 0.5} | options))


@pytest.mark.parametrize("timeout", [-1, float("nan"), "30", True])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    """Anything else is refused, and named."""
    with pytest.raises(SettingsError, match="expected timeout to be a number of seconds"):
        wait(timeout=timeout)


@pytest.mark.parametrize("timeout", [None, 0, 30, 0.5, float("inf")])
def test_what_asyncio_takes_is_taken(timeout: float | None) -> None:
    """Seconds, none or many."""
    assert wait(timeout=timeout).timeout == timeout


def test_no_row_means_pruned_only_for_what_was_registered() -> None:
    """Who never knew of it cannot say that it was there."""
    with pytest.raises(UnknownProcess):
        wait().judge(None)
    with pytest.raises(OutcomePruned):
        wait(known=True).judge(None)


def test_a_wait_that_read_nothing_says_so() -> None:
    """With the last outage, if that is why."""
    assert str(wait().overdue([])) == "process 'p' has not ended within 0.5 s (it was not read yet)"
    assert str(wait().overdue([OUTAGE])).endswith(f"(it was not read yet; {OUTAGE})")


def test_only_an_end_names_a_process() -> None:
    """Words that this release does not know, or that are for workers, name none."""
    assert ended_id("ended charge:o-17") == "charge:o-17"
    assert [ended_id(text) for text in ("request p", "lane a|b|", "ended", "")] == [""] * 4


def test_slow_reads_are_slow_and_spread() -> None:
    """5 to 10 s (design, section 6), never all at once."""
    pauses = [until_reread_s() for _ in range(200)]

    assert all(5 <= each <= 10 for each in pauses)
    assert max(pauses) - min(pauses) > 2


def test_an_outage_is_asked_about_less_and_less() -> None:
    """From a twentieth of a second to about two."""
    assert after_outage_s(1) < 0.1
    assert 1.5 < after_outage_s(50) < 2.5


async def test_another_way_with_uncertainty_is_refused() -> None:
    """Before anything is sent."""
    process = Lash("unix:///nowhere/s").process("p")

    with pytest.raises(SettingsError, match="'wait' or 'raise', got 'ignore'"):
        await process.outcome(on_uncertain="ignore")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="'wait' or 'raise', got 'ignore'"):
        process.blocking.outcome(on_uncertain="ignore")  # type: ignore[arg-type]


def test_a_bad_id_is_refused_by_the_handle() -> None:
    """Before anything is sent."""
    with pytest.raises(SettingsError, match="expected process_id"):
        Lash("unix:///nowhere/s").process("a b")
