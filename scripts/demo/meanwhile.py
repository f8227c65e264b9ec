"""What the report says of the schedule, the limit and the group: by the records and by the ledger."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import msgspec

from demo.ledger import Ledger
from demo.tasks import CLOCK, SLOTS, Total
from lash_redis import Abandoned, ProcessRecord, ProcessStatus, Success

_SECOND_MS = 1000


class Finding(msgspec.Struct, frozen=True):
    """One line of the report, and what must hold of it."""

    text: str
    checks: dict[str, bool]


def schedule_in(ticks: Sequence[ProcessRecord], ledger: Ledger) -> Finding:
    """Compare the processes of the schedule with its instants, and their ids with the ledger."""
    instants = sorted(int(record.id.rpartition("::")[2]) for record in ticks)
    first, last = (instants[0], instants[-1]) if instants else (0, 0)
    expected = list(range(first, last + 1, _SECOND_MS))
    lines = ledger.names("tick")
    ran = {record.id for record in ticks if record.status is ProcessStatus.COMPLETED}
    lost = {record.id for record in ticks if isinstance(record.outcome, Abandoned)}
    but = f", and {len(lost)} abandoned" if lost else ""
    return Finding(
        f"{CLOCK}: {len(ticks)} ticks from {_clock(first)} to {_clock(last)}, one process for each second, those in"
        f" which the pool was stopped too; {lines.total()} lines of theirs in the ledger{but}",
        {
            "the schedule ticked, and no second was left out": len(instants) > 1 and instants == expected,
            "each tick ran once, by its id in the ledger": (
                len(ran) + len(lost) == len(ticks) and ran <= lines.keys() <= ran | lost and set(lines.values()) == {1}
            ),
        },
    )


def limit_in(ledger: Ledger, killed: int) -> Finding:
    """Say how many publications ran at once, by the ledger."""
    most, interrupted = ledger.most_at_once()
    return Finding(
        f"site: at most {SLOTS} publications at once; in the ledger never more than {most} are between their first and"
        f" their last line, although {killed} kills met {interrupted} of them",
        {f"never more than {SLOTS} publications ran at once": 0 < most <= SLOTS and interrupted >= killed},
    )


def group_in(members: Sequence[ProcessRecord], total: ProcessRecord, ledger: Ledger) -> Finding:
    """Compare the process that continues the group with its members."""
    found = total.outcome.value if isinstance(total.outcome, Success) else None
    seen = msgspec.convert(found, Total) if found is not None else Total(0, 0, 0, 0)
    summaries = ledger.names("total")
    return Finding(
        f"{len(members)} measurements and, after them, {summaries.total()} summary, which saw {seen.files}:"
        f" {seen.lines} lines, {seen.compressed_bytes / (seen.bytes or 1):.0%} of their size once compressed",
        {
            "the group ended with one summary": summaries == {total.id: 1},
            "the summary saw every member": seen.files == len(members) > 0,
            "every member had ended when the summary began": total.first_started is not None
            and all((each.ended_at_ms or math.inf) <= total.first_started.started_at_ms for each in members),
        },
    )


def _clock(ms: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(ms / 1000))
