"""Waiting for others, exhaustively: it holds with every sentence of its design, and breaks without any one of them."""

from __future__ import annotations

import dataclasses

import pytest

from tests.models.explored import Broken
from tests.models.waiting import Mechanism, Process, explore

P = Process
CHAIN = Mechanism((P(), P((0,)), P((1,), needs=False)))
DIAMOND = Mechanism((P(), P((0,)), P((0,), needs=False), P((1, 2))))
ABANDONED = Mechanism((P(owner_bound=True), P((0,)), P((0,), needs=False)))
RANDOM_IDS = Mechanism((P(chosen=False), P((0,)), P((0,))))
GROUP = Mechanism((P(needs=False, is_group=True), P(of=0), P(of=0)))
GROUP_THAT_NEEDS = Mechanism((P(is_group=True), P(of=0, owner_bound=True), P(of=0)))
MEMBERS_WAIT = Mechanism((P(is_group=True), P(of=0), P((1,), needs=False, of=0)))
AFTER_A_GROUP = Mechanism((P(needs=False, is_group=True), P(of=0), P((0,))))
TWO_PROGRAMS = GROUP.without(another_program_joins=True)
# No two processes can wait for each other: the first of them is refused.
CIRCLE = Mechanism((P((1,)), P((0,))))
CIRCLE_OF_A_GROUP = Mechanism((P(is_group=True), P((0,), of=0)))

WHOLE = {
    "chain": CHAIN,
    "diamond": DIAMOND,
    "abandoned": ABANDONED,
    "random ids": RANDOM_IDS,
    "group": GROUP,
    "group that needs": GROUP_THAT_NEEDS,
    "members wait": MEMBERS_WAIT,
    "after a group": AFTER_A_GROUP,
    "two programs": TWO_PROGRAMS,
}

# By switch: where it shows, and what breaks without it.
SENTENCES = {
    "known_is_looked_at_first": (CHAIN, "has moved twice"),
    "counts_what_has_ended": (CHAIN, "is left behind"),
    "counts_tombstones": (CHAIN, "is refused, which is known to have ended"),
    "refuses_the_unknown": (CIRCLE, "stuck"),
    "leaves_the_rest_to_an_alarm": (CHAIN, "is left behind"),
    "keeps_what_has_more_to_tell": (RANDOM_IDS, "is left behind"),
    "moves_only_what_still_waits": (DIAMOND, "has moved"),
    "stops_waiting_when_it_ends": (CHAIN, "and is not blocked"),
    "waits_for_all": (DIAMOND, "has not ended"),
    "cancels_what_needs_completion": (CHAIN, "needs the completion of 0, and has moved"),
    "abandoned_is_open_until_resolved": (ABANDONED, "of which nobody knows"),
    "runs_all_the_same_at_once": (ABANDONED, "is left behind"),
    "a_resolution_tells": (ABANDONED, "is left behind"),
    "happened_counts_as_completed": (ABANDONED, "of which nobody knows"),
    "uncertain_blocks": (ABANDONED, "has not ended"),
    "is_held_open": (GROUP, "has not ended"),
    "is_not_ended_while_open": (GROUP_THAT_NEEDS, "has ended before all of its members were added"),
    "nobody_joins_what_is_closed": (TWO_PROGRAMS, "joins a group that has moved"),
    "remembers_members": (GROUP, "is refused, and the group has not ended"),
    "members_wait_for_members_alone": (CIRCLE_OF_A_GROUP, "stuck"),
    "a_cancelled_row_tells": (CHAIN, "is left behind"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whatever_waits_moves_once_and_none_is_left_behind(name: str) -> None:
    """In whatever order it is registered, runs, ends, is cancelled, resolved and forgotten."""
    assert explore(WHOLE[name]) > 300


def test_nothing_waits_in_a_circle() -> None:
    """The one that would close it is refused."""
    assert (explore(CIRCLE), explore(CIRCLE_OF_A_GROUP)) == (1, 12)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_it_breaks_without_any_one_sentence(sentence: str) -> None:
    """Each of them closes a hole."""
    mechanism, what_breaks = SENTENCES[sentence]
    with pytest.raises(Broken, match=what_breaks):
        explore(mechanism.without(**{sentence: False}))


def test_every_sentence_is_taken_away() -> None:
    """A switch that no test turns off would prove nothing."""
    given = {"processes", "another_program_joins"}
    assert {each.name for each in dataclasses.fields(Mechanism)} - given == SENTENCES.keys()
