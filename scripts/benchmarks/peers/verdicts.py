"""What became of a slow task whose worker was killed or paused: facts to words. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_ORDER = ("first", "second", "third", "fourth", "last")

Fault = Literal["worker killed", "OS process killed", "worker paused", "OS process paused"]


@dataclass(frozen=True)
class Line:
    """One line of the task's file: a run starts or ends. Its name begins with the pid of its OS process."""

    what: str
    run: str

    @property
    def pid(self) -> int:
        """The OS process that runs it."""
        return int(self.run.partition("-")[0])


@dataclass(frozen=True)
class Found:
    """What was seen of one fault.

    Attributes:
        fault: what was done to the worker.
        lines: of the task's file, in the end.
        waited_s: how long another run was waited for.
        again_s: how long after the fault another run started; None: none did.
        before: the record right before a paused worker was woken; None: it was not paused.
        after: the record in the end.
    """

    fault: Fault
    lines: tuple[Line, ...]
    waited_s: float
    again_s: float | None
    before: str | None
    after: str


def read_lines(text: str) -> tuple[Line, ...]:
    """Return the whole lines of a task's file."""
    words = (line.split() for line in text.splitlines(keepends=True) if line.endswith("\n"))
    return tuple(Line(what, run) for what, run in words)


def runs(lines: Sequence[Line]) -> int:
    """Return how often the task was started."""
    return sum(line.what == "start" for line in lines)


def starts(found: Found) -> str:
    """Return how often the task was started in all."""
    count = runs(found.lines)
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def ended(lines: Sequence[Line]) -> list[str]:
    """Return the runs that have ended, in that order."""
    return [line.run for line in lines if line.what == "end"]


def again(found: Found) -> str:
    """Return whether the task ran again, and after how long."""
    if found.again_s is not None:
        return f"yes, after {_seconds(found.again_s)}"
    if runs(found.lines) > 1:
        return "yes, once the paused worker was woken"
    return f"no, within {found.waited_s:.0f} s"


def late_result(found: Found) -> str:
    """Return what the late result of a paused worker did to the first one."""
    if found.again_s is None:
        return "there is no other result"
    first, last = holder(found.before or "", found.lines), holder(found.after, found.lines)
    if first is None:
        return "there was no result yet"
    if last is None:
        return "the first result is gone"
    if last == first:
        return "no"
    return "yes" if last == found.lines[0].run else "no, but that of a later run did"


def holder(record: str, lines: Sequence[Line]) -> str | None:
    """Return the run whose result a record holds, if it holds one."""
    for run in {line.run for line in lines}:
        if re.search(rf"\bby-{run}\b", record):
            return run
    return None


def said(found: Found) -> str:
    """Return what the record says in the end: its state in the peer's own word, and which run's result it holds."""
    state = (json.loads(found.after) or {"state": "no record"})["state"]
    run = holder(found.after, found.lines)
    if run is None:
        return f"{state}, no result"
    order = [line.run for line in found.lines if line.what == "start"].index(run)
    return f"{state}, the result of the {_ORDER[min(order, len(_ORDER) - 1)]} run"


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"
