"""What the end of a run means: the table, and every combination against conditions written by hand."""

from __future__ import annotations

import itertools

import pytest

from lash_redis.worker.attempt import Stop
from lash_redis.worker.ending import TABLE, End, Ending, ending_of

ROWS = [
    # how the code ended, why it was asked to stop, owner-bound, what is done
    (End.RETURNED, None, False, Ending.SUCCEED),
    (End.RETURNED, Stop.REQUESTED, True, Ending.SUCCEED),
    (End.RETURNED, Stop.DRAIN, True, Ending.SUCCEED),
    (End.RETURNED, Stop.TRUST, False, Ending.SUCCEED),
    (End.RAISED, None, False, Ending.FAIL),
    (End.RAISED, Stop.REQUESTED, False, Ending.FAIL),
    (End.RAISED, Stop.DRAIN, True, Ending.FAIL),
    (End.INTERRUPTED, None, False, Ending.FAIL),
    (End.INTERRUPTED, None, True, Ending.FAIL),
    (End.INTERRUPTED, Stop.REQUESTED, False, Ending.CANCEL),
    (End.INTERRUPTED, Stop.REQUESTED, True, Ending.CANCEL),
    (End.INTERRUPTED, Stop.DRAIN, True, Ending.SETTLE),
    (End.INTERRUPTED, Stop.DRAIN, False, Ending.GIVE_BACK),
    (End.INTERRUPTED, Stop.TRUST, False, Ending.GIVE_BACK),
    (End.INTERRUPTED, Stop.TERMINAL, True, Ending.FORGET),
    (End.RETURNED, Stop.TERMINAL, True, Ending.FORGET),
    (End.RAISED, Stop.TERMINAL, False, Ending.FORGET),
]


@pytest.mark.parametrize(("end", "stop", "bound", "ending"), ROWS)
def test_an_end_means_what_the_table_says(end: End, stop: Stop | None, bound: bool, ending: Ending) -> None:
    """Each row is one that the product promises."""
    assert ending_of(end, stop, bound=bound) is ending


def test_every_combination_has_the_ending_that_its_conditions_ask_for() -> None:
    """Conditions that are written anew, without the order of the table."""
    for end, stop, bound in itertools.product(End, [None, *Stop], [False, True]):
        is_over = stop is Stop.TERMINAL
        stopped_by_us = end is End.INTERRUPTED and stop in (Stop.DRAIN, Stop.TRUST)
        expected = {
            Ending.FORGET: is_over,
            Ending.SUCCEED: end is End.RETURNED and not is_over,
            Ending.FAIL: not is_over and (end is End.RAISED or (end is End.INTERRUPTED and stop is None)),
            Ending.CANCEL: end is End.INTERRUPTED and stop is Stop.REQUESTED,
            Ending.SETTLE: stopped_by_us and bound,
            Ending.GIVE_BACK: stopped_by_us and not bound,
        }
        assert [ending for ending, holds in expected.items() if holds] == [ending_of(end, stop, bound=bound)]


def test_every_ending_is_reached_and_says_why() -> None:
    """A line that nothing reaches would be a promise that nothing keeps."""
    assert {ending for _, ending, _ in TABLE} == set(Ending)
    assert all(why for _, _, why in TABLE)
