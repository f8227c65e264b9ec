"""Keyed lanes and sequences, exhaustively: they hold with every sentence of their design, and break without any one."""

from __future__ import annotations

import pytest

from tests.models.explored import Broken
from tests.models.keyed_lanes import Mechanism, Row, explore
from tests.models.parked_windows import Mechanism as Windows
from tests.models.parked_windows import parked_too_long
from tests.models.shared_turns import Mechanism as Turns
from tests.models.shared_turns import a_stands_still, b_starves

# Two keys, two lanes that share the policy, three rows.
LIMIT = Mechanism((Row("A", "x"), Row("B", "x"), Row("A", "y")), limits=(1, 2))
ONE_KEY = Mechanism((Row("A", "x"), Row("A", "x"), Row("B", "x")), limits=(1,))
COST = Mechanism((Row("A", "x", cost=2), Row("B", "x"), Row("B", "x")), limits=(2,))
BOTH = Mechanism((Row("A", "x"), Row("A", "y"), Row("B", "x")), limits=(2,), limit_of_all=1)
HALT = Mechanism((Row("A", "x"), Row("B", "x"), Row("A", "x")), sequence="halt")
CONTINUE = HALT.without(sequence="continue")


WHOLE = {"limit": LIMIT, "one key": ONE_KEY, "cost": COST, "both": BOTH, "halt": HALT, "continue": CONTINUE}


@pytest.mark.parametrize("name", WHOLE)
def test_whatever_comes_when_the_mechanism_holds(name: str) -> None:
    """No slot leaks or is exceeded, no key is forgotten, a sequence keeps its order, and nothing is stuck."""
    assert explore(WHOLE[name]) > 300


@pytest.mark.parametrize("script", sorted(LIMIT.looks))
def test_each_script_that_changes_a_key_looks_at_it(script: str) -> None:
    """Sentence 1: one script without a look forgets a key, or leaves one in the rotation that may not run."""
    mechanism = HALT if script == "resolve" else LIMIT
    with pytest.raises(Broken, match="and is not its turn"):
        explore(mechanism.without(looks=mechanism.looks - {script}))


@pytest.mark.parametrize("mechanism", [LIMIT, HALT], ids=["limit", "sequence"])
def test_what_frees_a_key_looks_at_it_in_every_lane(mechanism: Mechanism) -> None:
    """Sentence 2: the other task of a shared limit would wait for ever."""
    with pytest.raises(Broken, match="and is not its turn"):
        explore(mechanism.without(looks_in_every_lane=False))


def test_a_sequence_is_one_set_across_lanes() -> None:
    """Sentence 3: with one for each lane two lanes run one key at once."""
    with pytest.raises(Broken, match="was started before row"):
        explore(HALT.without(one_sequence_across_lanes=False))


def test_a_row_stays_in_its_sequence_while_it_is_delayed() -> None:
    """Sentence 3: a retry would lose its place to the next row."""
    with pytest.raises(Broken, match="was started before row"):
        explore(HALT.without(stays_in_sequence=False))


def test_a_row_keeps_its_number() -> None:
    """Sentence 4: what was released would come back behind its successors."""
    with pytest.raises(Broken, match="was started before row"):
        explore(HALT.without(keeps_its_number=False))


def test_a_halted_sequence_waits_for_the_resolution() -> None:
    """Sentence 5: the fact alone would let the next row go."""
    with pytest.raises(Broken, match="was started before row"):
        explore(HALT.without(halts_until_resolved=False))


def test_a_handler_in_the_sequence_that_it_resolves_is_stuck() -> None:
    """Sentence 5: it waits for what only it can end. In another key it does not."""
    stuck, fine = (Row("B", key, is_handler=True) for key in ("x", "y"))
    with pytest.raises(Broken, match="stuck"):
        explore(HALT.without(rows=(Row("A", "x"), stuck)))
    assert explore(HALT.without(rows=(Row("A", "x"), fine))) > 10


def test_two_limits_are_taken_both_or_neither() -> None:
    """Sentence 6: a slot of the key that is taken although the limit of all refuses is never freed."""
    with pytest.raises(Broken, match="slots of"):
        explore(BOTH.without(both_limits_or_neither=False))


@pytest.mark.parametrize("cost", [1, 2])
def test_lanes_that_share_slots_take_turns(cost: int) -> None:
    """Sentence 7: ending and claiming in one call starves the other task, unless the first that is refused is next."""
    assert not b_starves(Turns(cost_of_b=cost))
    assert b_starves(Turns(cost_of_b=cost, takes_turns=False))


def test_nobody_waits_for_a_lane_that_cannot_have_room() -> None:
    """Sentence 7: where uncertain rows leave it no room, the other lanes go on."""
    turns = Turns(cost_of_b=2, may_become_uncertain=True)
    assert not a_stands_still(turns)
    assert not b_starves(turns)
    assert a_stands_still(turns._replace(yields_while_uncertain=False))


@pytest.mark.parametrize("cost", [1, 2])
def test_nobody_waits_for_a_lane_whose_workers_are_gone(cost: int) -> None:
    """Sentence 7: a lane that had room for a while and did not come is not waited for."""
    assert not a_stands_still(Turns(cost_of_b=cost))
    assert a_stands_still(Turns(cost_of_b=cost, yields_when_late=False))


def test_no_key_is_parked_for_longer_than_its_window_whatever_the_clock_did() -> None:
    """The table of section 3, on rates: it breaks without any part of how a clock that was set back is seen."""
    assert parked_too_long(Windows()) == []
    assert parked_too_long(Windows(sees_that_the_clock_is_before_it=False))
    assert parked_too_long(Windows(keeps_the_latest=False))
    assert parked_too_long(Windows(a_window_before_it_has_ended=False))


def test_a_start_without_a_lease_takes_its_slots() -> None:
    """Sentence 8: it runs somewhere, whether a slot is free or not."""
    with pytest.raises(Broken, match="slots of x"):
        explore(ONE_KEY.without(takes_slots_without_a_lease=False))


def test_a_claim_reads_the_policy_that_is_stored() -> None:
    """Sentence 9: a worker of another release would go by a limit of its own."""
    with pytest.raises(Broken, match="above the limit"):
        explore(LIMIT.without(reads_the_stored_policy=False))


def test_a_sequence_lies_in_one_partition() -> None:
    """Sentence 10: of rows that do not lie where their key does, two run at once."""
    with pytest.raises(Broken, match="was started beside row"):
        explore(HALT.without(rows=(Row("A", "x"), Row("A", "x", partition=1)), partitions=2))


def test_a_batch_plans_over_its_own_writes() -> None:
    """Sentence 11: it would hand out two rows for one slot."""
    with pytest.raises(Broken, match="above the limit"):
        explore(ONE_KEY.without(plans_over_its_writes=False))
