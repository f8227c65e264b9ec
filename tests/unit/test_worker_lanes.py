"""The lanes that one worker serves: its own, and those of other releases as far as it can."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.events import Event, RowUnreadable, WorkerLanesFull, WorkerLeftLane
from lash_redis.core.lanes import lane
from lash_redis.core.subscribers import subscribed
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import Declaration, declare
from lash_redis.worker import lanes as lanes_module
from lash_redis.worker.lanes import EMPTY_MS, LEFT_AT_MOST_MS, LEFT_MS, PAUSE_MS, Lanes


def task(function: Any) -> Declaration:
    """Declare a function as a release of the task."""
    return declare(function, recovery="rerunnable", name="mail")


OURS = task(lambda to, subject="": 0)
OLDER = OURS.signature.served[1]
OTHER = task(lambda subject, to: 0)
UNFIT = task(lambda recipient: 0)


class Clock:
    """The boot-time clock of the module, moved by hand."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock by which lists of lanes are made."""
    clock = Clock()
    monkeypatch.setattr(lanes_module, "boottime_ms", lambda: clock.now_ms)
    return clock


def found(*declarations: Declaration, queue: str = "default", named: bool = True) -> dict[str, bytes]:
    """Return the lanes of some releases as a look finds them."""
    return {
        lane(queue, "mail", digest): data if named else b""
        for each in declarations
        for digest, data in each.signature.named.items()
    }


def serving() -> Lanes:
    """Return the lanes of a worker with two queues."""
    return Lanes(Catalogue([OURS]), ["default", "urgent"])


def of(declaration: Declaration, queue: str = "default") -> str:
    """Return the lane of a release."""
    return lane(queue, "mail", declaration.signature.digest)


def look(lanes: Lanes, clock: Clock, release: Declaration = OTHER) -> None:
    """Look as a worker does, with a new list of lanes if something has changed."""
    clock.now_ms += PAUSE_MS
    lanes.adopt(found(release))
    lanes.looked(clock.now_ms)
    lanes.renew(at_once=True)


def test_a_lane_whose_rows_may_be_bound_is_adopted_in_its_queue() -> None:
    """Also for the rows in it that run alone; and the next claim names it."""
    lanes = serving()
    before = lanes.served
    assert lanes.adopt(found(OTHER, queue="urgent"))
    assert lanes.serves(of(OTHER, "urgent"))
    assert lanes.serves(f"{of(OTHER, 'urgent')}|alone")
    assert not lanes.serves(of(OTHER))
    assert set(lanes.served.lanes) - set(before.lanes) == {of(OTHER, "urgent")}
    assert lanes.served.queues == before.queues
    assert not lanes.adopt(found(OTHER, queue="urgent"))


def test_a_lane_whose_signature_nobody_has_named_is_not_adopted() -> None:
    """Its arguments by position have no names. It is looked at again."""
    lanes = serving()
    assert not lanes.adopt(found(OTHER, named=False))
    assert lanes.may_adopt(of(OTHER))


def test_a_lane_of_which_no_row_can_be_bound_is_left_without_a_claim() -> None:
    """It is told once."""
    lanes = serving()
    heard: list[Event] = []
    with subscribed(heard.append):
        assert not lanes.adopt(found(UNFIT))
        assert not lanes.adopt(found(UNFIT))
    assert heard == [
        WorkerLeftLane(task="mail", queue="default", signature=UNFIT.signature.digest, reason="argument to is missing")
    ]
    assert not lanes.may_adopt(of(UNFIT))


@pytest.mark.parametrize(
    "name", ["default|text|00ff", "other|mail|00ff", "default|mail|00ff|key", "", "default|mail|", of(OURS)]
)
def test_lanes_that_are_no_other_signatures_are_not_looked_at(name: str) -> None:
    """Of unknown tasks and queues, of a newer release that names them in another way, and one's own."""
    lanes = serving()
    assert not lanes.may_adopt(name)
    assert not lanes.adopt({name: OTHER.signature.named[OTHER.signature.digest]})


@pytest.mark.parametrize("digest", [OTHER.signature.digest, OLDER])
def test_a_lane_that_is_left_is_looked_at_again_after_a_while(digest: str, clock: Clock) -> None:
    """Each time it is left for twice as long. A digest without trailing defaults is an older release's."""
    lanes, name = serving(), lane("default", "mail", digest)
    for for_ms in (LEFT_MS, 2 * LEFT_MS, 4 * LEFT_MS, 8 * LEFT_MS, LEFT_AT_MOST_MS, LEFT_AT_MOST_MS):
        look(lanes, clock)
        assert lanes.serves(name)
        lanes.leave(f"{name}|alone", "it does not fit", "p")
        clock.now_ms += for_ms - PAUSE_MS - 1
        look(lanes, clock)
        assert not lanes.serves(name)
        assert name not in lanes.served.lanes
        assert lanes.serves(of(OURS))
        clock.now_ms += PAUSE_MS + 1


def test_a_lane_of_which_no_row_can_be_bound_is_left_for_ever(clock: Clock) -> None:
    """Nothing can change that, so that nothing is looked at again."""
    lanes = serving()
    look(lanes, clock, UNFIT)
    clock.now_ms += 10 * LEFT_AT_MOST_MS
    assert not lanes.may_adopt(of(UNFIT))


def test_rows_of_a_lane_that_was_left_are_still_bound_by_name() -> None:
    """The claim that met the first that does not fit may have brought others."""
    lanes = serving()
    lanes.adopt(found(OTHER))
    lanes.leave(of(OTHER), "it does not fit")
    theirs = lanes.written_for(OURS, OTHER.signature.digest)
    assert theirs is not None
    assert [each.name for each in theirs] == ["subject", "to"]
    assert [lanes.written_for(OURS, digest) for digest in OURS.signature.served] == [None] * 3


def test_parameters_that_cannot_be_read_are_told_and_left_alone() -> None:
    """A newer release may write them in another way."""
    lanes = serving()
    heard: list[Event] = []
    with subscribed(heard.append):
        assert not lanes.adopt({lane("default", "mail", "ab" * 8): b"\xc1"} | found(OTHER, queue="other"))
    assert [(event.what, event.id) for event in heard if isinstance(event, RowUnreadable)] == [("signature", "ab" * 8)]


def test_a_lane_that_is_empty_for_long_is_dropped_and_may_come_again(clock: Clock) -> None:
    """A worker that lives through many releases does not serve all of them for ever."""
    lanes = serving()
    lanes.adopt(found(OTHER))
    clock.now_ms += EMPTY_MS - 1
    lanes.looked(clock.now_ms)
    assert lanes.serves(of(OTHER))
    lanes.adopt(found(OTHER))
    clock.now_ms += EMPTY_MS
    lanes.looked(clock.now_ms)
    assert not lanes.serves(of(OTHER))
    clock.now_ms += PAUSE_MS
    assert lanes.adopt(found(OTHER))
    assert lanes.serves(of(OTHER))


def test_what_is_adopted_soon_after_is_served_with_the_next_list(clock: Clock) -> None:
    """And what is left is served no more at once."""
    lanes, urgent = serving(), found(OTHER, queue="urgent")
    assert lanes.adopt(found(OTHER))
    clock.now_ms += 1
    assert not lanes.adopt(urgent)
    assert not lanes.may_adopt(of(OTHER, "urgent"))
    assert lanes.due_ms == clock.now_ms - 1 + PAUSE_MS
    assert not lanes.renew()
    clock.now_ms = lanes.due_ms
    assert lanes.renew()
    assert lanes.serves(of(OTHER))
    assert lanes.serves(of(OTHER, "urgent"))
    assert lanes.due_ms is None
    lanes.leave(of(OTHER), "it does not fit")
    assert not lanes.serves(of(OTHER))
    assert not lanes.renew()
    assert lanes.renew(at_once=True)
    assert lanes.serves(of(OTHER, "urgent"))


@pytest.mark.parametrize("leaves", [False, True])
def test_lists_of_lanes_are_as_many_as_time_allows_however_many_lanes_there_are(clock: Clock, leaves: bool) -> None:
    """Each is stored whole. And each lane is served within the pause."""
    lanes, names, began_ms, left = serving(), set[str](), clock.now_ms, 0
    for number in range(300):
        name, since_ms = lane("default", "mail", f"{number:016x}"), clock.now_ms
        lanes.adopt({name: OTHER.signature.named[OTHER.signature.digest]})
        names.add(lanes.served.name)
        if leaves and lanes.serves(name):
            lanes.leave(name, "it does not fit")
            left += 1
            names.add(lanes.served.name)
        while not leaves and number % 50 == 0 and not lanes.serves(name):
            clock.now_ms += 1
            lanes.renew()
            assert clock.now_ms <= since_ms + PAUSE_MS
        clock.now_ms += 20
        lanes.renew()
        names.add(lanes.served.name)
    clock.now_ms += PAUSE_MS
    lanes.renew()
    served = sum("0000000000" in each for each in lanes.served.lanes)
    assert served == 300 - left
    assert len(names) <= 2 + (clock.now_ms - began_ms) // PAUSE_MS


def test_no_more_than_so_many_lanes_are_adopted(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """A claim costs more the more lanes have rows. Those that have been empty for the longest go; it is told once."""
    monkeypatch.setattr(lanes_module, "MOST_ADOPTED", 2)
    data, heard = OTHER.signature.named[OTHER.signature.digest], list[Event]()
    a, b, c, d = (lane("default", "mail", f"{number:016x}") for number in range(4))
    lanes = serving()
    with subscribed(heard.append):
        lanes.adopt({a: data, b: data, c: data, d: data})
        assert [lanes.serves(each) for each in (a, b, c, d)] == [True, True, False, False]
        clock.now_ms += PAUSE_MS
        began_ms = clock.now_ms
        lanes.adopt({b: data, c: data, d: data})  # a may have rows: not every partition was looked at
        assert [lanes.serves(each) for each in (a, b, c, d)] == [True, True, False, False]
        lanes.looked(began_ms)
        lanes.adopt({d: data, c: data, b: data})
        assert [lanes.serves(each) for each in (a, b, c, d)] == [False, True, False, True]
    assert heard == [WorkerLanesFull(lanes=2)]


def test_what_is_known_of_other_releases_is_bounded(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """The signatures of lanes that are served stay; what was left may be tried again."""
    monkeypatch.setattr(lanes_module, "_MOST_KNOWN", 3)
    data, lanes = OTHER.signature.named[OTHER.signature.digest], serving()
    names = [lane("default", "mail", f"{number:016x}") for number in range(9)]
    for name in names[:8]:
        lanes.adopt({name: data})
        lanes.leave(name, "it does not fit")
    clock.now_ms += PAUSE_MS
    lanes.adopt({names[8]: data})
    assert lanes.written_for(OURS, f"{8:016x}") is not None
    with pytest.raises(KeyError):
        lanes.written_for(OURS, f"{0:016x}")
    assert [lanes.may_adopt(each) for each in names[:8]] == [True] * 5 + [False] * 3


def test_a_signature_of_ones_own_that_nobody_has_named_is_named() -> None:
    """So that other releases can run its rows. Those of others are not this worker's to name."""
    lanes = serving()
    assert lanes.unnamed(found(OURS, OTHER, named=False)) == OURS.signature.named
    assert lanes.unnamed(found(OURS)) == {}
