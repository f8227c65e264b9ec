"""Which processes an operator means: by queue, task, phase or state, label and age. Pure: it yields calls.

The index that is read is that of a label, if one is given; else of the state and task, or of the phase, of queued rows
only the lanes of the queue and task. What has no index of its own is looked for among the rows of that one, page by
page, and ``read`` says how many rows that took.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from lash_redis.core.checks import MAX_BATCH, checked_int, checked_queue, checked_task_name, refused
from lash_redis.core.durations import MAX_MS
from lash_redis.core.errors import SettingsError
from lash_redis.core.labels import LABELS
from lash_redis.core.lanes import lane_parts
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.places import BY_URGENCY
from lash_redis.registry.calls.call import Namespace, Steps
from lash_redis.registry.calls.ended import list_ended
from lash_redis.registry.calls.listing import ListedRows, list_by_phase, list_labelled
from lash_redis.registry.rows import Row

MOST: Final = 10_000  # processes that one call acts on unless it is told otherwise
AT_MOST: Final = 1_000_000
FIRST_SHOWN: Final = 10  # of what is found, in a report


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """What is meant: all that is so, and is given.

    Attributes:
        queue, task: by their names, as the rows have them.
        phase: of what has not ended.
        status: of what has ended.
        labels: all of these.
        older_than_ms: registered longer ago than this, ms.

    Raises:
        SettingsError: a value is outside what is allowed.
    """

    queue: str | None = None
    task: str | None = None
    phase: Phase | None = None
    status: ProcessStatus | None = None
    labels: Mapping[str, str] = {}
    older_than_ms: int | None = None

    def __post_init__(self) -> None:
        if self.queue is not None:
            checked_queue(self.queue)
        if self.task is not None:
            checked_task_name(self.task)
        if self.older_than_ms is not None:
            checked_int("older_than_ms", self.older_than_ms, at_least=0, at_most=MAX_MS)
        LABELS.checked("labels", self.labels)

    @property
    def is_all(self) -> bool:
        """Nothing is given that would leave out a process."""
        return self == Which()

    def takes(self, row: Row, since_ms: int) -> bool:
        """Say whether a row is meant; what was registered after ``since_ms`` is not."""
        queue, task, _ = lane_parts(row.lane)
        registered_at_ms = row.record().registered_at_ms
        return (
            self.queue in (None, queue)
            and self.task in (None, task)
            and self.phase in (None, row.phase)
            and self.status in (None, row.status)
            and self.labels.items() <= row.labels.items()
            and registered_at_ms <= since_ms
            and (self.older_than_ms is None or row.now_ms - registered_at_ms >= self.older_than_ms)
        )


class Selected(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        order: of each process that is meant and may be acted on, by its id: when it was registered, and its number in
            the order in which processes of its partition entered their lanes.
        left_out: how many are meant and may not, by the reason.
        read: how many rows were read to find them.
        has_more: there may be more than were asked for.
    """

    order: dict[str, tuple[int, int]]
    left_out: dict[str, int]
    read: int
    has_more: bool

    @property
    def ids(self) -> list[str]:
        """The processes, in the order in which they were found."""
        return list(self.order)

    @property
    def oldest_first(self) -> list[str]:
        """The processes, in the order in which they were registered."""
        newest_first = self.ids  # as the list of what has ended has them
        newest_first.reverse()
        return sorted(newest_first, key=self.order.__getitem__)


def select(
    namespace: Namespace, which: Which, most: int, why_not: Callable[[Sequence[Row]], Steps[list[str]]]
) -> Steps[Selected]:
    """Find at most so many processes; ``why_not`` says of each that is meant why it is left out, empty if it is not."""
    checked_int("most", most, at_least=1, at_most=AT_MOST)
    found: dict[str, tuple[int, int]] = {}  # a row that moves meanwhile may be seen twice
    left_out: Counter[str] = Counter()
    read, cursor, since_ms = 0, None, 0
    while True:
        page = yield from _page(namespace, which, cursor)
        read, cursor = read + len(page.rows), page.cursor
        since_ms = since_ms or (page.rows[0].now_ms if page.rows else 0)
        meant = [row for row in page.rows if which.takes(row, since_ms)]
        for row, reason in zip(meant, (yield from why_not(meant)), strict=True):
            if reason:
                left_out[reason] += 1
            elif len(found) == most:
                return Selected(found, dict(left_out), read, has_more=True)
            else:
                found[row.process_id] = (row.record().registered_at_ms, int(row.fields.get(b"sq", 0)))
        if cursor is None:
            return Selected(found, dict(left_out), read, has_more=False)


def _page(namespace: Namespace, which: Which, cursor: str | None) -> Steps[ListedRows]:
    if which.labels:
        name, value = next(iter(which.labels.items()))
        return (yield from list_labelled(namespace, name, value, MAX_BATCH, cursor))
    if which.status is not None:
        return (yield from list_ended(namespace, which.status, MAX_BATCH, cursor, task=which.task))
    lanes = (which.queue, which.task)
    return (yield from list_by_phase(namespace, BY_URGENCY, MAX_BATCH, cursor, only=which.phase, lanes=lanes))


def status_named(value: object) -> ProcessStatus:
    """Return the terminal status called ``value``.

    Raises:
        SettingsError: there is none of that name.
    """
    allowed = {status.value: status for status in ProcessStatus if status is not ProcessStatus.RUNNING}
    found = value if isinstance(value, ProcessStatus) else allowed.get(value) if isinstance(value, str) else None
    if found is None or found is ProcessStatus.RUNNING:
        raise refused("state", f"one of {', '.join(map(repr, allowed))}", value)
    return found


def phase_named(value: object) -> Phase:
    """Return the phase called ``value``.

    Raises:
        SettingsError: there is none of that name.
    """
    try:
        return Phase(value)  # type: ignore[arg-type]
    except ValueError:
        raise refused("phase", f"one of {', '.join(repr(each.value) for each in Phase)}", value) from None


def needs_a_filter(which: Which) -> None:
    """Refuse to mean every process by giving nothing.

    Raises:
        SettingsError: nothing is given.
    """
    if which.is_all:
        raise SettingsError(
            "expected at least one of queue, task, phase, labels or older_than, got none of them "
            "(older_than=0 means every process)"
        )
