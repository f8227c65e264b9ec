"""Events: one table, one line each, and no flood during an outage."""

from __future__ import annotations

import logging

import pytest

from lash_redis.core import timing
from lash_redis.core.event_logging import EventLog
from lash_redis.core.events import EVENTS, Event, ProcessSettled, WorkerUnavailable
from lash_redis.core.subscribers import emit, subscribed


class Steered(timing.Clock):
    """A clock that stands where it is put."""

    now_ms = 0

    def boottime_ms(self) -> int:
        """Return where it was put."""
        return self.now_ms


def test_an_event_is_a_line_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Those who want JSON find the name and the fields on the log record."""
    with caplog.at_level(logging.INFO, "lash_redis"):
        emit(ProcessSettled(process_id="p", line=14, action="requeue"))
    (record,) = caplog.records
    assert record.getMessage() == "process.settled process_id=p line=14 action=requeue"
    assert (record.__dict__["event"], record.__dict__["fields"]["line"]) == ("process.settled", 14)
    assert record.levelno == EVENTS["process.settled"].level


def test_an_outage_is_logged_every_ten_seconds_with_how_often_it_was(caplog: pytest.LogCaptureFixture) -> None:
    """Each operation for itself."""
    clock = Steered()
    log = EventLog()
    with timing.use(clock), caplog.at_level(logging.INFO, "lash_redis"):
        for second in range(0, 21, 1):
            clock.now_ms = second * 1000
            log(WorkerUnavailable(operation="claim", reason="gone"))
        log(WorkerUnavailable(operation="renew", reason="gone"))
    assert [record.getMessage().partition(" ")[2] for record in caplog.records] == [
        "operation=claim reason=gone",
        "operation=claim reason=gone repeated=9",
        "operation=claim reason=gone repeated=9",
        "operation=renew reason=gone",
    ]


def test_a_subscriber_gets_every_event_whole_until_it_leaves() -> None:
    """Metrics count what the log leaves out: each repetition is an event of its own."""
    seen: list[Event] = []
    event = WorkerUnavailable(operation="claim", reason="gone")
    with subscribed(seen.append):
        emit(event)
        emit(event)
    emit(event)
    assert seen == [event, event]


def test_every_event_has_a_name_of_its_own_and_says_what_happened() -> None:
    """The table is the reference: a name, a level and one sentence for each."""
    assert len(EVENTS) == len(Event.__subclasses__())
    assert [name for name, kind in EVENTS.items() if not (kind.__doc__ or "").endswith(".") or "." not in name] == []


def test_a_subscriber_that_raises_stops_neither_the_others_nor_whoever_emits(caplog: pytest.LogCaptureFixture) -> None:
    """A report must not stop the work that it is about: the failure is logged and the next subscriber is called."""
    seen: list[Event] = []
    event = ProcessSettled(process_id="p", line=14, action="requeue")

    def broken(_event: Event) -> None:
        raise ZeroDivisionError

    with subscribed(broken), subscribed(seen.append):
        emit(event)
    assert seen == [event]
    assert "a subscriber failed on process.settled" in caplog.text
