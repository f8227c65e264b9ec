"""The log of a pool whose user has set up none: whose records it shows, and as what."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lash_redis.core.current import CurrentProcess, current_process
from lash_redis.core.events import ProcessFailed
from lash_redis.core.subscribers import emit
from lash_redis.pool import logs
from lash_redis.worker.run_contexts import RunContexts
from tests.repo.tree import ROOT, read

LIBRARY, OWN = json.__file__, __file__


class Stream(io.StringIO):
    """Standard error, kept."""

    def finish(self, _within_s: float) -> bool:
        """Do nothing, for nothing waits."""
        return True


@contextmanager
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    """Set up the log of a pool whose own module is ``shop`` in a program without handlers; yield what it shows."""
    stream, root = Stream(), logging.getLogger()
    monkeypatch.setattr(logs, "background_stderr", lambda: stream)
    before, level = root.handlers[:], root.level  # pytest has some of its own there while a test runs
    root.handlers[:] = [logging.NullHandler()]
    root.setLevel(logging.WARNING)
    logs.log_to_stderr(["shop.tasks"])
    try:
        yield stream
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def log(name: str, level: int, path: str, text: str = "said") -> None:
    """Log a line as a module at that path does."""
    logger = logging.getLogger(name)
    if logger.isEnabledFor(level):
        logger.handle(logger.makeRecord(name, level, path, 1, text, (), None))


@pytest.mark.parametrize(
    ("name", "level", "path", "is_shown"),
    [
        ("shop.mail", logging.INFO, LIBRARY, True),
        ("shop.mail", logging.DEBUG, OWN, False),
        ("root", logging.INFO, OWN, True),
        ("billing", logging.INFO, OWN, True),
        ("elsewhere", logging.INFO, LIBRARY, False),
        ("elsewhere", logging.WARNING, LIBRARY, True),
        ("lash_redis", logging.INFO, LIBRARY, True),
    ],
)
def test_own_code_is_shown_from_info_on_and_other_packages_from_warning_on(
    monkeypatch: pytest.MonkeyPatch, name: str, level: int, path: str, is_shown: bool
) -> None:
    """Own is what logs under the name of an own module, or does not lie where packages are installed."""
    with shown(monkeypatch) as stream:
        log(name, level, path)

    assert ("said" in stream.getvalue()) is is_shown


def test_a_level_that_somebody_has_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a package, and below INFO."""
    logger = logging.getLogger("elsewhere.deep")
    logger.setLevel(logging.DEBUG)
    try:
        with shown(monkeypatch) as stream:
            log("elsewhere.deep", logging.DEBUG, LIBRARY)
    finally:
        logger.setLevel(logging.NOTSET)

    assert "DEBUG elsewhere.deep: said" in stream.getvalue()


@pytest.mark.parametrize("where", ["", "shop", "lash_redis"])
def test_what_another_handler_gets_is_not_shown_again(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Whenever that handler was added, and wherever it stands on the record's way; one that does nothing is none."""
    logger, other = logging.getLogger(where), logging.StreamHandler(io.StringIO())
    logging.getLogger("shop").addHandler(logging.NullHandler())
    try:
        with shown(monkeypatch) as stream:
            logger.addHandler(other)
            for name in ("shop.mail", "lash_redis"):
                log(name, logging.INFO, OWN)
    finally:
        logger.removeHandler(other)
        logging.getLogger("shop").handlers.clear()

    assert stream.getvalue().count("said") + other.stream.getvalue().count("said") == 2


def test_a_line_of_a_task_has_its_process_id_and_forges_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event has the id among its fields. Further lines of a text are indented."""

    def work() -> None:
        logging.getLogger("shop.mail").info("one\npool.died slot=1")
        logging.getLogger("lash_redis").info("process.failed process_id=p1")

    with shown(monkeypatch) as stream:
        RunContexts().new(CurrentProcess("p1", "shop.mail", 1)).run(work)

    one, two, three = stream.getvalue().splitlines()
    assert one.endswith(" INFO process_id=p1 shop.mail: one")
    assert two == "    pool.died slot=1"
    assert three.endswith(" INFO process.failed process_id=p1")


def test_a_traceback_is_shown_below_the_line_of_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """People look there first; it is indented and escaped as a text of a task is."""
    traceback = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: \x1b[31mno\npool.died slot=1\n'
    with shown(monkeypatch) as stream:
        emit(ProcessFailed(process_id="p1", code="ValueError", message="no", traceback=traceback))

    first, *rest = stream.getvalue().splitlines()
    assert first.endswith(" WARNING process.failed process_id=p1 code=ValueError message=no attempt=1")
    assert rest == [
        "    Traceback (most recent call last):",
        '      File "a.py", line 1',
        "    ValueError: \\x1b[31mno",
        "    pool.died slot=1",
    ]


def test_the_filter_that_the_page_shows_gives_a_record_its_process_id() -> None:
    """For the handlers of a user who sets up logging."""
    page = read(ROOT / "docs" / "events.md")
    names: dict[str, Any] = {"logging": logging, "current_process": current_process}
    exec(page.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102 - our own page
    record, outside = (logging.LogRecord("shop", logging.INFO, OWN, 1, "said", (), None) for _ in range(2))

    RunContexts().new(CurrentProcess("p1", "shop.mail", 1)).run(names["WithProcessId"]().filter, record)
    names["WithProcessId"]().filter(outside)

    assert (record.__dict__["process_id"], outside.__dict__["process_id"]) == ("p1", "-")
