"""Events: one table, one line each, and no flood during an outage."""

from __future__ import annotations

import io
import logging
import logging.config
from collections.abc import Iterator

import pytest

from lash_redis.core import timing
from lash_redis.core.event_logging import EventLog
from lash_redis.core.events import (
    EVENTS,
    Event,
    PoolDrained,
    ProcessFailed,
    ProcessSettled,
    WorkerLeftLane,
    WorkerUnavailable,
)
from lash_redis.core.model import Deferred
from lash_redis.core.subscribers import emit, subscribed
from tests.support import Steered


def test_an_event_is_a_line_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Those who want JSON find the name and the fields on the log record."""
    with caplog.at_level(logging.INFO, "lash_redis"):
        emit(ProcessSettled(process_id="p", line=14, action="requeue"))
    (record,) = caplog.records
    assert record.getMessage() == "process.settled process_id=p line=14 action=requeue"
    assert (record.__dict__["event"], record.__dict__["fields"]["line"]) == ("process.settled", 14)
    assert record.levelno == EVENTS["process.settled"].level


@pytest.mark.parametrize(
    ("abandoned", "deferred", "text"),
    [
        ([], [], 'abandoned="" deferred=""'),
        (["p"], [Deferred("q", "gone")], 'abandoned=p deferred="q: gone"'),
        (
            ["p", "q"],
            [Deferred("r", "still running"), Deferred("s", "x\ny")],
            'abandoned="p, q" deferred="r: still running, s: x\\ny"',
        ),
    ],
)
def test_a_list_stands_plainly_in_a_line(
    abandoned: list[str], deferred: list[Deferred], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As an operator reads it, and not as Python shows it."""
    with caplog.at_level(logging.INFO, "lash_redis"):
        emit(PoolDrained(abandoned=abandoned, deferred=deferred, released=0, finished=1))
    assert caplog.records[0].getMessage() == f"pool.drained {text} released=0 finished=1"


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


FORGERIES = {
    "a line": ("x\npool.died slot=1", '"x\\npool.died slot=1"'),
    "a field": ("x code=1", '"x code=1"'),
    "a field without a space": ("code=1", '"code=1"'),
    "a colour": ("\x1b[31mred", '"\\x1b[31mred"'),
    "an end of quotes": ('" code=1', '"\\" code=1"'),
    "an escape": ("\\n", '"\\\\n"'),
    "the other direction": ("\u202eabc", '"\\u202eabc"'),
    "a line of Unicode": ("a\u2028b", '"a\\u2028b"'),
    "nothing": ("", '""'),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_value_forges_no_line_and_no_field(what: str, caplog: pytest.LogCaptureFixture) -> None:
    """It stands in quotes then, escaped. Those who want it raw find it on the log record."""
    message, quoted = FORGERIES[what]
    with caplog.at_level(logging.INFO, "lash_redis"):
        emit(ProcessFailed(process_id="p", code="E", message=message))
    (record,) = caplog.records
    assert record.getMessage() == f'process.failed process_id=p code=E message={quoted} traceback="" attempt=1'
    assert record.__dict__["fields"]["message"] == message


def test_a_field_without_a_value_is_left_out_of_the_line(caplog: pytest.LogCaptureFixture) -> None:
    """``process_id=None`` would name a process."""
    emit(WorkerLeftLane(task="t", queue="q", signature="s", reason="r"))
    (record,) = caplog.records
    assert record.getMessage() == "worker.left_lane task=t queue=q signature=s reason=r"


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Put the state of logging back after a test that configures it."""
    root, ours = logging.getLogger(), logging.getLogger("lash_redis")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    known = logging.Logger.manager.loggerDict.values()
    disabled = {each: each.disabled for each in known if isinstance(each, logging.Logger)}
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    for each, was_disabled in disabled.items():
        each.disabled = was_disabled


def _configured(stream: io.StringIO, **more: object) -> None:
    handlers = {"out": {"class": "logging.StreamHandler", "stream": stream}}
    logging.config.dictConfig(
        {"version": 1, "handlers": handlers, "root": {"level": "INFO", "handlers": ["out"]}} | more
    )


def test_a_configuration_that_does_not_name_the_logger_leaves_it_on(own_logging: None) -> None:
    """``disable_existing_loggers`` is true unless it is given; nobody means the events by it."""
    stream = io.StringIO()
    _configured(stream)
    emit(ProcessSettled(process_id="p", line=14, action="requeue"))
    assert stream.getvalue() == "process.settled process_id=p line=14 action=requeue\n"


def test_a_level_silences_events(own_logging: None) -> None:
    """That is how to say that one does not want them."""
    stream = io.StringIO()
    _configured(stream, loggers={"lash_redis": {"level": "ERROR"}})
    emit(ProcessSettled(process_id="p", line=14, action="requeue"))
    assert stream.getvalue() == ""


class BrokenHandler(logging.Handler):
    """A log handler that raises whatever it is given to raise."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        """Raise."""
        raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(1), GeneratorExit()], ids=repr)
def test_a_log_handler_that_raises_stops_nothing(error: BaseException, own_logging: None) -> None:
    """Not even one that means to end the program, and not where the report of its failure fails with it."""
    seen: list[Event] = []
    event = WorkerUnavailable(operation=f"claim {error!r}", reason="gone")
    logging.getLogger().addHandler(BrokenHandler(error))
    with subscribed(seen.append):
        emit(event)
    assert seen == [event]


def test_ctrl_c_while_an_event_is_told_is_kept_until_all_have_it() -> None:
    """It is the user's, and no error of whoever tells."""
    seen: list[Event] = []
    event = ProcessSettled(process_id="p", line=14, action="requeue")

    def interrupted(_event: Event) -> None:
        raise KeyboardInterrupt

    with subscribed(interrupted), subscribed(seen.append), pytest.raises(KeyboardInterrupt):
        emit(event)
    assert seen == [event]
