"""Which node serves a key, from what a cluster says."""

from __future__ import annotations

import pytest

from lash_redis.registry.transport.slots import SlotMap, place_in_moved, slot_map_in, slot_of

A, B, C = ("a", 1), ("b", 2), ("c", 3)


def test_each_slot_has_the_primary_of_its_range() -> None:
    """What no range has is served by nobody."""
    found = SlotMap([(8, 9, B), (0, 5, A)])

    assert [found.place_of(slot) for slot in (0, 5, 6, 7, 8, 9, 10)] == [A, A, None, None, B, B, None]
    assert (bool(found), bool(SlotMap([]))) == (True, False)


def test_a_slot_that_has_moved_is_another_ones() -> None:
    """The others stay, and the map is another one; moved to where it was it is the same."""
    before = SlotMap([(0, 5, A), (6, 9, B)])
    after = before.moved(3, B)

    assert [after.place_of(slot) for slot in (2, 3, 4)] == [A, B, A]
    assert after != before
    assert after == SlotMap([(0, 2, A), (3, 3, B), (4, 5, A), (6, 9, B)])
    assert before.moved(3, A) == before
    assert before.moved(3, C).places() == {A, B, C}


def test_a_cluster_says_it_in_this_form() -> None:
    """A node that does not know its own host means the one that was asked."""
    answer = [
        [0, 99, [b"10.0.0.1", 7000, b"id", []], [b"10.0.0.2", 7001, b"id", []]],
        [100, 199, [None, 7002, b"id", []]],
        [200, 299, [b"?", 7003, b"id"]],
        [300, 399, [b"", 7004]],
    ]
    found = slot_map_in(answer, "asked")

    assert [found.place_of(slot) for slot in (0, 100, 200, 300)] == [
        ("10.0.0.1", 7000), ("asked", 7002), ("asked", 7003), ("asked", 7004),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "place"),
    [("7 h:6381", ("h", 6381)), ("7 :6381", ("asked", 6381)), ("7 ?:1", ("asked", 1)), ("7 ::1:6381", ("::1", 6381))],
)
def test_an_answer_says_where_a_slot_is(reply: str, place: tuple[str, int]) -> None:
    """With the host of the node that was asked, if it names none."""
    assert place_in_moved(reply, "asked") == (7, place)


def test_the_slot_of_a_partition_is_that_of_its_tag() -> None:
    """So that every key of a partition is in one slot."""
    assert slot_of("{lash:shop:3}:hdr") == slot_of("{lash:shop:3}:to:me") == slot_of("lash:shop:3")
