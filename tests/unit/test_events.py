"""Events: one table, one line each, and no flood during an outage."""

from __future__ import annotations

import logging

import pytest

from lash_redis.core import events, timing
from lash_redis.core.events import EVENTS, emit


class Steered(timing.Clock):
    """A clock that stands where it is put."""

    now_ms = 0

    def boottime_ms(self) -> int:
        """Return where it was put."""
        return self.now_ms


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what other tests told."""
    monkeypatch.setattr(events, "_repeats", events._Repeats())


def test_an_event_is_a_line_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Those who want JSON find the name and the fields on the log record."""
    with caplog.at_level(logging.INFO, "lash_redis"):
        emit("process.settled", process_id="p", line=14, action="requeue")
    (record,) = caplog.records
    assert record.getMessage() == "process.settled process_id=p line=14 action=requeue"
    assert (record.__dict__["event"], record.__dict__["fields"]["line"]) == ("process.settled", 14)
    assert record.levelno == EVENTS["process.settled"][0]


def test_an_outage_is_told_every_ten_seconds_with_how_often_it_was(caplog: pytest.LogCaptureFixture) -> None:
    """Each operation for itself."""
    clock = Steered()
    with timing.use(clock), caplog.at_level(logging.INFO, "lash_redis"):
        for second in range(0, 21, 1):
            clock.now_ms = second * 1000
            emit("worker.unavailable", operation="claim", reason="gone")
        emit("worker.unavailable", operation="renew", reason="gone")
    assert [record.getMessage().partition(" ")[2] for record in caplog.records] == [
        "operation=claim reason=gone",
        "operation=claim reason=gone repeated=9",
        "operation=claim reason=gone repeated=9",
        "operation=renew reason=gone",
    ]
