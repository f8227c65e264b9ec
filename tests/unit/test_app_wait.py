"""One wait: which timeouts it accepts, and its errors."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.wait import End, Wait, reread_delay_s, retry_delay_s, told_end
from lash_redis.core.errors import OutcomePruned, RegistryUnavailable, SettingsError, UnknownProcess
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import Failure
from lash_redis.registry.codec import encode_outcome


def wait(**options: Any) -> Wait:
    """Return a wait for ``p``."""
    return Wait("p", **({"known": False, "raise_uncertain": False, "timeout": 0.5} | options))


@pytest.mark.parametrize("timeout", [-1, float("nan"), "30", True])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    """Anything else is refused, and the error shows it."""
    with pytest.raises(SettingsError, match="expected timeout to be a number of seconds"):
        wait(timeout=timeout)


@pytest.mark.parametrize("timeout", [None, 0, 30, 0.5, float("inf")])
def test_every_timeout_of_asyncio_is_accepted(timeout: float | None) -> None:
    """None, zero, fractions and infinity are timeouts."""
    assert wait(timeout=timeout).timeout == timeout


def test_a_missing_row_was_pruned_only_if_it_is_known_to_be_registered() -> None:
    """Otherwise there may never have been one."""
    with pytest.raises(UnknownProcess):
        wait().end_in(None)
    with pytest.raises(OutcomePruned):
        wait(known=True).end_in(None)


def test_a_wait_that_read_nothing_does_not_say_that_the_process_has_not_ended() -> None:
    """Its error is the last outage, or says that no answer came, and says nothing of what was changed."""
    unanswered = wait().timeout_error([], "redis://h/0")
    assert isinstance(unanswered, RegistryUnavailable)
    assert str(unanswered) == "no answer from redis://h/0 within 0.5 s: process 'p' was not read"
    outage = RegistryUnavailable("watch", "no route", maybe_applied=True)
    assert wait().timeout_error([outage], "redis://h/0") is outage
    assert str(outage) == "no route"


def test_only_the_message_of_an_end_names_a_process() -> None:
    """Messages for workers and of other releases name none."""
    assert told_end("ended charge:o-17") == ("charge:o-17", None)
    assert [told_end(text) for text in ("request p", "lane a|b|", "ended", "")] == [("", None)] * 4


def test_a_message_may_say_how_a_process_ended() -> None:
    """As its row does; what cannot be read there is left to the row."""
    state, data = encode_outcome(Failure("no", "it broke \x00 | \n"), 1000)
    text = f"outcome charge::17 pay|{state} ".encode() + data
    told = told_end(text.decode("utf-8", "surrogateescape"))

    assert told == ("charge::17", End(ProcessStatus.FAILED, Failure("no", "it broke \x00 | \n"), "pay"))
    for broken in ("outcome p pay|c \udcc1", "outcome p pay|? x", "outcome p pay|c ", "outcome p", "outcome p pay"):
        assert told_end(broken) == ("p", None)


def test_slow_reads_are_slow_and_spread() -> None:
    """They come every 5 to 10 s (rule 9.3), and those of many clients not all at once."""
    delays = [reread_delay_s() for _ in range(200)]

    assert all(5 <= each <= 10 for each in delays)
    assert max(delays) - min(delays) > 2


def test_reads_during_an_outage_become_rarer() -> None:
    """The delay grows from a twentieth of a second to about two."""
    assert retry_delay_s(1) < 0.1
    assert 1.5 < retry_delay_s(50) < 2.5


async def test_an_unknown_on_uncertain_is_refused() -> None:
    """The error comes before anything is sent."""
    process = Lash("unix:///nowhere/s").process("p")

    with pytest.raises(SettingsError, match="'wait' or 'raise', got 'ignore'"):
        await process.outcome(on_uncertain="ignore")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="'wait' or 'raise', got 'ignore'"):
        process.blocking.outcome(on_uncertain="ignore")  # type: ignore[arg-type]


def test_a_bad_id_is_refused_by_the_handle() -> None:
    """The error comes before anything is sent."""
    with pytest.raises(SettingsError, match="expected process_id"):
        Lash("unix:///nowhere/s").process("a b")
