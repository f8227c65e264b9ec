"""The lanes that one worker serves: its own, and those of other releases as far as it can."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.events import Event, RowUnreadable, WorkerLeftLane
from lash_redis.core.lanes import lane
from lash_redis.core.subscribers import subscribed
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import Declaration, declare
from lash_redis.worker import lanes as lanes_module
from lash_redis.worker.lanes import EMPTY_MS, Lanes


def task(function: Any) -> Declaration:
    """Declare a function as a release of the task."""
    return declare(function, recovery="rerunnable", name="mail")


OURS = task(lambda to, subject="": 0)
OLDER = OURS.signature.served[1]
OTHER = task(lambda subject, to: 0)
UNFIT = task(lambda recipient: 0)


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
def test_a_lane_that_is_left_stays_left(digest: str) -> None:
    """Also one of the digests without trailing defaults, which is another release's."""
    lanes, name = serving(), lane("default", "mail", digest)
    lanes.adopt(found(OTHER))
    assert lanes.serves(name)
    lanes.leave(f"{name}|alone", "it does not fit", "p")
    lanes.adopt(found(OTHER))
    assert not lanes.serves(name)
    assert name not in lanes.served.lanes
    assert lanes.serves(of(OURS))


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


def test_a_lane_that_is_empty_for_long_is_dropped_and_may_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that lives through many releases does not serve all of them for ever."""
    now_ms = 1_000
    monkeypatch.setattr(lanes_module, "boottime_ms", lambda: now_ms)
    lanes = serving()
    lanes.adopt(found(OTHER))
    now_ms += EMPTY_MS - 1
    lanes.drop_empty()
    assert lanes.serves(of(OTHER))
    lanes.adopt(found(OTHER))
    now_ms += EMPTY_MS
    lanes.drop_empty()
    assert not lanes.serves(of(OTHER))
    assert lanes.adopt(found(OTHER))


def test_no_more_than_so_many_lanes_are_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim costs more the more lanes have rows."""
    monkeypatch.setattr(lanes_module, "MOST_ADOPTED", 1)
    lanes = serving()
    lanes.adopt(found(OTHER) | found(OTHER, queue="urgent"))
    assert [lanes.serves(of(OTHER)), lanes.serves(of(OTHER, "urgent"))].count(True) == 1


def test_a_signature_of_ones_own_that_nobody_has_named_is_named() -> None:
    """So that other releases can run its rows. Those of others are not this worker's to name."""
    lanes = serving()
    assert lanes.unnamed(found(OURS, OTHER, named=False)) == OURS.signature.named
    assert lanes.unnamed(found(OURS)) == {}
