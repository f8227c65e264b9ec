"""What the end of a run means: the table, and every combination against conditions written by hand."""

from __future__ import annotations

import itertools

import pytest

from lash_redis.worker.attempt import Stop
from lash_redis.worker.ending import TABLE, Ending, How, ending_of

ROWS = [
    # how the code ended, why it was asked to stop, owner-bound, what is done
    (How.RETURNED, None, False, Ending.SUCCEED),
    (How.RETURNED, Stop.REQUESTED, True, Ending.SUCCEED),
    (How.RETURNED, Stop.DRAIN, True, Ending.SUCCEED),
    (How.RETURNED, Stop.TRUST, False, Ending.SUCCEED),
    (How.RAISED, None, False, Ending.FAIL),
    (How.RAISED, Stop.REQUESTED, False, Ending.FAIL),
    (How.RAISED, Stop.DRAIN, True, Ending.FAIL),
    (How.AGAIN, None, False, Ending.RETRY),
    (How.AGAIN, Stop.REQUESTED, False, Ending.RETRY),
    (How.AGAIN, Stop.DRAIN, False, Ending.RETRY),
    (How.AGAIN, Stop.TERMINAL, False, Ending.FORGET),
    (How.INTERRUPTED, None, False, Ending.FAIL),
    (How.INTERRUPTED, None, True, Ending.FAIL),
    (How.INTERRUPTED, Stop.REQUESTED, False, Ending.CANCEL),
    (How.INTERRUPTED, Stop.REQUESTED, True, Ending.CANCEL),
    (How.INTERRUPTED, Stop.DRAIN, True, Ending.SETTLE),
    (How.INTERRUPTED, Stop.DRAIN, False, Ending.RELEASE),
    (How.INTERRUPTED, Stop.TRUST, False, Ending.RELEASE),
    (How.INTERRUPTED, Stop.TERMINAL, True, Ending.FORGET),
    (How.NEVER_BEGAN, None, True, Ending.UNSTART),
    (How.NEVER_BEGAN, None, False, Ending.UNSTART),
    (How.NEVER_BEGAN, Stop.DRAIN, True, Ending.UNSTART),
    (How.NEVER_BEGAN, Stop.TRUST, False, Ending.UNSTART),
    (How.NEVER_BEGAN, Stop.REQUESTED, True, Ending.CANCEL),
    (How.NEVER_BEGAN, Stop.TERMINAL, True, Ending.FORGET),
    (How.RETURNED, Stop.TERMINAL, True, Ending.FORGET),
    (How.RAISED, Stop.TERMINAL, False, Ending.FORGET),
]


@pytest.mark.parametrize(("how", "stop", "bound", "ending"), ROWS)
def test_an_end_means_what_the_table_says(how: How, stop: Stop | None, bound: bool, ending: Ending) -> None:
    """Each row is one that the product promises."""
    assert ending_of(how, stop, bound=bound) is ending


def test_every_combination_has_the_ending_that_its_conditions_ask_for() -> None:
    """Conditions that are written anew, without the order of the table."""
    for how, stop, bound in itertools.product(How, [None, *Stop], [False, True]):
        is_over = stop is Stop.TERMINAL
        stopped_by_us = how is How.INTERRUPTED and stop in (Stop.DRAIN, Stop.TRUST)
        expected = {
            Ending.FORGET: is_over,
            Ending.SUCCEED: how is How.RETURNED and not is_over,
            Ending.FAIL: not is_over and (how is How.RAISED or (how is How.INTERRUPTED and stop is None)),
            Ending.CANCEL: how in (How.INTERRUPTED, How.NEVER_BEGAN) and stop is Stop.REQUESTED,
            Ending.UNSTART: how is How.NEVER_BEGAN and stop in (None, Stop.DRAIN, Stop.TRUST),
            Ending.RETRY: how is How.AGAIN and not is_over,
            Ending.SETTLE: stopped_by_us and bound,
            Ending.RELEASE: stopped_by_us and not bound,
        }
        assert [ending for ending, holds in expected.items() if holds] == [ending_of(how, stop, bound=bound)]


def test_every_ending_is_reached_and_says_why() -> None:
    """A line that nothing reaches would be a promise that nothing keeps."""
    assert {ending for _, ending, _ in TABLE} == set(Ending)
    assert all(why for _, _, why in TABLE)
