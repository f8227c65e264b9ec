"""The verdict: the design's table row by row, and over every combination of facts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from lash_redis.core.model import RecoveryDisposition
from lash_redis.core.outcomes import AbandonWriter
from lash_redis.core.verdict import TABLE, Action, EvidenceOwner, Facts, Verdict, verdict

RERUNNABLE = RecoveryDisposition.RERUNNABLE
OWNER_BOUND = RecoveryDisposition.OWNER_BOUND
EXTERNALLY_OWNED = RecoveryDisposition.EXTERNALLY_OWNED

LEAVE, ABANDON, CANCEL, UNCERTAIN, REQUEUE = Action
OWNER_DRAIN, SWEEP, RECONCILED_REQUEST, LOSS_LIMIT = AbandonWriter
NOBODY, STARTER, LAST_HOLDER = EvidenceOwner

FLAGS = [name for name in Facts.__struct_fields__ if name != "disposition"]


def facts(disposition: RecoveryDisposition, *true: str) -> Facts:
    """Return facts of which only those named are true."""
    unknown = set(true) - set(FLAGS)
    assert not unknown, f"no such facts: {unknown}"
    values: dict[str, Any] = {name: name in true for name in FLAGS}
    return Facts(disposition=disposition, **values)


def every_combination() -> Iterator[Facts]:
    """Yield all facts that there can be, also those that contradict one another."""
    for disposition in RecoveryDisposition:
        for values in itertools.product([False, True], repeat=len(FLAGS)):
            yield Facts(disposition=disposition, **dict(zip(FLAGS, values, strict=True)))


PRINTED_TABLE = [
    # line, facts, action, writer, owner in the evidence
    (1, facts(RERUNNABLE, "terminal", "takeable", "waiting"), LEAVE, None, NOBODY),
    (
        1,
        facts(OWNER_BOUND, "terminal", "takeable", "started", "starter_dead", "abandon_requested"),
        LEAVE,
        None,
        NOBODY,
    ),
    (1, facts(EXTERNALLY_OWNED, "terminal", "abandon_requested"), LEAVE, None, NOBODY),
    (2, facts(EXTERNALLY_OWNED, "takeable", "abandon_requested"), ABANDON, RECONCILED_REQUEST, NOBODY),
    (2, facts(EXTERNALLY_OWNED, "abandon_requested", "cancel_requested"), ABANDON, RECONCILED_REQUEST, NOBODY),
    (3, facts(EXTERNALLY_OWNED, "takeable"), LEAVE, None, NOBODY),
    (3, facts(EXTERNALLY_OWNED, "takeable", "cancel_requested", "expired"), LEAVE, None, NOBODY),
    (4, facts(RERUNNABLE, "cancel_requested"), LEAVE, None, NOBODY),
    (4, facts(OWNER_BOUND, "started", "abandon_requested"), LEAVE, None, NOBODY),
    (4, facts(OWNER_BOUND, "started", "starter_dead"), LEAVE, None, NOBODY),
    (5, facts(RERUNNABLE, "takeable", "in_this_worker", "started", "losses_at_limit"), LEAVE, None, NOBODY),
    (5, facts(OWNER_BOUND, "takeable", "in_this_worker", "started", "abandon_requested"), LEAVE, None, NOBODY),
    (6, facts(OWNER_BOUND, "takeable", "started", "starter_dead"), ABANDON, SWEEP, STARTER),
    (6, facts(OWNER_BOUND, "takeable", "started", "starter_dead", "abandon_requested"), ABANDON, SWEEP, STARTER),
    (7, facts(OWNER_BOUND, "takeable", "started", "ended_here"), ABANDON, OWNER_DRAIN, STARTER),
    (7, facts(OWNER_BOUND, "takeable", "started", "ended_here", "abandon_requested"), ABANDON, OWNER_DRAIN, STARTER),
    (8, facts(OWNER_BOUND, "takeable", "started", "abandon_requested"), ABANDON, RECONCILED_REQUEST, STARTER),
    (9, facts(OWNER_BOUND, "takeable", "started"), UNCERTAIN, None, NOBODY),
    (9, facts(OWNER_BOUND, "takeable", "started", "cancel_requested"), UNCERTAIN, None, NOBODY),
    (9, facts(OWNER_BOUND, "takeable", "started", "expired", "losses_at_limit"), UNCERTAIN, None, NOBODY),
    (10, facts(RERUNNABLE, "takeable", "waiting", "cancel_requested"), CANCEL, None, NOBODY),
    (10, facts(RERUNNABLE, "takeable", "started", "losses_at_limit", "cancel_requested"), CANCEL, None, NOBODY),
    (10, facts(OWNER_BOUND, "takeable", "cancel_requested"), CANCEL, None, NOBODY),
    (11, facts(RERUNNABLE, "takeable", "started", "losses_at_limit"), ABANDON, LOSS_LIMIT, LAST_HOLDER),
    (11, facts(RERUNNABLE, "takeable", "started", "losses_at_limit", "starter_dead"), ABANDON, LOSS_LIMIT, LAST_HOLDER),
    (12, facts(RERUNNABLE, "takeable", "waiting", "expired"), CANCEL, None, NOBODY),
    (12, facts(OWNER_BOUND, "takeable", "expired"), CANCEL, None, NOBODY),
    (13, facts(RERUNNABLE, "takeable", "waiting"), LEAVE, None, NOBODY),
    (13, facts(OWNER_BOUND, "takeable", "waiting"), LEAVE, None, NOBODY),
    (13, facts(RERUNNABLE, "takeable", "waiting", "started", "expired"), LEAVE, None, NOBODY),
    (14, facts(RERUNNABLE, "takeable", "started"), REQUEUE, None, NOBODY),
    (14, facts(RERUNNABLE, "takeable", "started", "starter_dead", "ended_here"), REQUEUE, None, NOBODY),
    (14, facts(OWNER_BOUND, "takeable"), REQUEUE, None, NOBODY),
    (14, facts(OWNER_BOUND, "takeable", "losses_at_limit"), REQUEUE, None, NOBODY),
]


def in_words(given: Facts) -> str:
    """Return the facts that hold, as one reads them in the table."""
    return ", ".join([given.disposition.value, *(name for name in FLAGS if getattr(given, name))])


@pytest.mark.parametrize(
    ("line", "given", "action", "writer", "owner"),
    PRINTED_TABLE,
    ids=[f"{line}: {in_words(given)}" for line, given, *_ in PRINTED_TABLE],
)
def test_the_printed_table_holds_row_by_row(
    line: int, given: Facts, action: Action, writer: AbandonWriter | None, owner: EvidenceOwner
) -> None:
    """Each line of the design's table gives the verdict printed beside it."""
    answer = verdict(given)
    assert (answer.line, answer.action, answer.writer, answer.owner) == (line, action, writer, owner)


def test_the_printed_table_leaves_out_no_line() -> None:
    """The rows above meet all fourteen lines."""
    assert {row[0] for row in PRINTED_TABLE} == set(range(1, 15))


def fourteen_conditions(f: Facts) -> list[bool]:
    """Write the design's conditions a second time, by hand and one by one, without the order among them."""
    return [
        f.terminal,
        f.disposition == EXTERNALLY_OWNED and f.abandon_requested,
        f.disposition == EXTERNALLY_OWNED,
        not f.takeable,
        f.in_this_worker,
        f.disposition == OWNER_BOUND and f.started and f.starter_dead,
        f.disposition == OWNER_BOUND and f.started and f.ended_here,
        f.disposition == OWNER_BOUND and f.started and f.abandon_requested,
        f.disposition == OWNER_BOUND and f.started,
        f.cancel_requested,
        f.disposition == RERUNNABLE and f.losses_at_limit,
        f.expired and not f.started,
        f.waiting,
        True,
    ]


EFFECT_OF_LINE = {
    1: (LEAVE, None, NOBODY, None),
    2: (ABANDON, RECONCILED_REQUEST, NOBODY, None),
    3: (LEAVE, None, NOBODY, None),
    4: (LEAVE, None, NOBODY, None),
    5: (LEAVE, None, NOBODY, None),
    6: (ABANDON, SWEEP, STARTER, None),
    7: (ABANDON, OWNER_DRAIN, STARTER, None),
    8: (ABANDON, RECONCILED_REQUEST, STARTER, None),
    9: (UNCERTAIN, None, NOBODY, None),
    10: (CANCEL, None, NOBODY, None),
    11: (ABANDON, LOSS_LIMIT, LAST_HOLDER, None),
    12: (CANCEL, None, NOBODY, "expired"),
    13: (LEAVE, None, NOBODY, None),
    14: (REQUEUE, None, NOBODY, None),
}


def test_over_every_combination_the_first_condition_that_holds_wins() -> None:
    """The function's line is the first of the fourteen conditions that holds, and its effect is that line's."""
    met: set[int] = set()
    for given in every_combination():
        answer = verdict(given)
        first = fourteen_conditions(given).index(True) + 1
        assert answer.line == first, given
        assert (answer.action, answer.writer, answer.owner, answer.reason) == EFFECT_OF_LINE[first], given
        met.add(first)
    assert met == set(range(1, 15))


def verdicts() -> Iterator[tuple[Facts, Verdict]]:
    """Yield every combination with its verdict."""
    return ((given, verdict(given)) for given in every_combination())


def test_started_owner_bound_work_never_runs_again_and_is_never_cancelled_by_recovery() -> None:
    """Abandonment is the only recovery of started owner-bound work."""
    for given, answer in verdicts():
        if given.disposition is OWNER_BOUND and given.started:
            assert answer.action not in (REQUEUE, CANCEL), given


def test_owner_bound_work_is_abandoned_only_on_proof_on_its_own_end_or_on_request() -> None:
    """Neither elapsed time, nor losses, nor a cancel request, nor the death of another abandons owner-bound work."""
    for given, answer in verdicts():
        if given.disposition is OWNER_BOUND and answer.action is ABANDON:
            assert given.started, given
            assert given.starter_dead or given.ended_here or given.abandon_requested, given


def test_owner_bound_work_that_nobody_started_is_never_abandoned() -> None:
    """A first execution is no re-execution: work that never started is run, or cancelled."""
    for given, answer in verdicts():
        if given.disposition is OWNER_BOUND and not given.started:
            assert answer.action in (LEAVE, CANCEL, REQUEUE), given


def test_externally_owned_work_is_left_alone_but_for_an_abandon_request() -> None:
    """The pool settles externally owned work on an abandon request alone, and then names no owner."""
    for given, answer in verdicts():
        if given.disposition is EXTERNALLY_OWNED and answer.action is not LEAVE:
            assert given.abandon_requested, given
            assert (answer.writer, answer.owner) == (RECONCILED_REQUEST, NOBODY), given


def test_nothing_that_another_holds_is_touched() -> None:
    """Without a takeable lease, only work that is nobody's to hold can be settled."""
    for given, answer in verdicts():
        if not given.takeable and given.disposition is not EXTERNALLY_OWNED:
            assert answer.action is LEAVE, given


def test_an_abandoned_fact_has_a_writer_and_nothing_else_has_one() -> None:
    """A writer, and an owner for the evidence, come with an abandonment and never without."""
    for given, answer in verdicts():
        assert (answer.writer is not None) == (answer.action is ABANDON), given
        if answer.action is not ABANDON:
            assert answer.owner is NOBODY, given


def test_each_line_has_its_number_and_a_sentence_of_its_own() -> None:
    """The lines are numbered as in the design, and operators can tell them apart by their text."""
    answers = [answer for _, answer in TABLE]
    assert [answer.line for answer in answers] == list(range(1, 15))
    assert len({answer.text for answer in answers}) == 14
    assert all(answer.text for answer in answers)


@pytest.mark.parametrize("name", Facts.__struct_fields__)
def test_no_fact_can_be_forgotten(name: str) -> None:
    """Facts without one of its facts is an error, and not a false."""
    given = {field: getattr(facts(RERUNNABLE), field) for field in Facts.__struct_fields__}
    del given[name]
    with pytest.raises(TypeError, match=name):
        Facts(**given)
