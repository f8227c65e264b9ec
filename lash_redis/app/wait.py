"""One wait for the end of a process: what a row means to it, and how long to wait between reads. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import msgspec

from lash_redis.core.error_text import shown
from lash_redis.core.errors import (
    LashError,
    NamespaceMismatch,
    OutcomePruned,
    OutcomeUncertain,
    RegistryUnavailable,
    SettingsError,
    UnknownProcess,
)
from lash_redis.core.lanes import plain_lane
from lash_redis.core.model import Phase, ProcessRecord, ProcessStatus, TaskInput
from lash_redis.core.outcomes import Outcome
from lash_redis.core.times_in_words import due_in_words
from lash_redis.core.timing import backoff, jittered
from lash_redis.registry.calls.call import Namespace
from lash_redis.registry.calls.forgetting import Tombstone
from lash_redis.registry.codec import STATUSES, decode_outcome
from lash_redis.registry.messages import Ended, EndedWith, read_message
from lash_redis.registry.rows import Row
from lash_redis.registry.unreadable import readable

FIRST_READ_S: Final = 1.0  # how long an announced process is left unread: what ends sooner is told
_REREAD_S: Final = 7.5
_REREAD_SPREAD: Final = 1 / 3  # so from 5 to 10 s


class End(msgspec.Struct, frozen=True):
    """How a process ended, as its row says, or the message of its end.

    Attributes:
        status: what became of it.
        outcome: its outcome; None if that is not kept any more.
        task: of which it was a call; None if it was none.
    """

    status: ProcessStatus
    outcome: Outcome | None
    task: str | None

    @classmethod
    def in_record(cls, record: ProcessRecord) -> Self:
        """Return what the record of a process that has ended says."""
        return cls(record.status, record.outcome, record.input.task if isinstance(record.input, TaskInput) else None)


class Wait:
    """One caller's wait for the end of one process.

    Args:
        process_id: of the process.
        known: whether the process is known to be registered. If so, a missing row was pruned.
        raise_uncertain: whether an uncertain process ends the wait with an error.
        timeout: seconds; None waits for ever, and 0 reads once.

    Attributes:
        queued_in: the lane in which the process was queued when it was last read; else empty.

    Raises:
        SettingsError: the timeout is no number of seconds.
    """

    def __init__(self, process_id: str, *, known: bool, raise_uncertain: bool, timeout: float | None) -> None:
        self.process_id = process_id
        self.timeout = _checked_timeout(timeout)
        self._known = known
        self._raise_uncertain = raise_uncertain
        self._was_read = False
        self._phase: Phase | None = None
        self._until = ""
        self.queued_in = ""

    def end_in(self, row: Row | None) -> End | None:
        """Return how the process ended if the row shows that it has, None if the wait goes on.

        Raises:
            OutcomePruned: the row was pruned.
            UnknownProcess: there is no row, and nothing shows that there ever was one.
            OutcomeUncertain: the process is uncertain, and the caller wants an error then.
        """
        if row is None:
            raise OutcomePruned(self.process_id) if self._known else UnknownProcess(self.process_id)
        self._known = self._was_read = True
        self._phase = readable("row", self.process_id, lambda: row.phase)  # a newer release may know more places
        due_at_ms = readable("row", self.process_id, lambda: row.due_at_ms)
        self._until = f", {due_in_words(due_at_ms, row.now_ms)}" if due_at_ms else ""
        self.queued_in = plain_lane(row.lane) if self._phase is Phase.QUEUED else ""
        if row.is_terminal:
            return End.in_record(row.record())
        if self._phase is Phase.UNCERTAIN and self._raise_uncertain:
            raise OutcomeUncertain(self.process_id, row.record())
        return None

    def first_read_s(self, unread_s: float) -> float:
        """Return when an announced process is read first, s: early enough to know by the timeout where it stands."""
        return unread_s if self.timeout is None else min(unread_s, self.timeout / 2)

    def timeout_error(self, outages: Sequence[Exception], server: str, waits: str = "") -> Exception:
        """Return the error for a wait beyond its timeout.

        A ``TimeoutError`` says that the process had not ended when it was last read. Where no read was answered
        nothing is known of it, and the error is that of the last read.

        Args:
            outages: the errors of the reads since the last answered one.
            server: the server, for people.
            waits: why a queued process waits, if that is known.
        """
        within = f" within {self.timeout} s" if self.timeout else ""
        if not self._was_read:
            why = f"no answer from {server}{within}: process {self.process_id!r} was not read"
            error = outages[-1] if outages else RegistryUnavailable("watch", why, maybe_applied=False)
            if isinstance(error, RegistryUnavailable):
                error.reads = True  # for the caller, whom it does not concern whether a read noted the wait
            return error
        where = (
            "stands where this release knows no place"
            if self._phase is None
            else f"is {self._phase.value}{self._until}"
        )
        known = [f"it {where}{f': {waits}' if waits else ''}", *map(str, outages[-1:])]
        return TimeoutError(f"process {self.process_id!r} has not ended{within} ({'; '.join(known)})")


def missing_error(process_id: str, tombstone: Tombstone | None, error: LashError) -> LashError:
    """Return the error for a process without a row: how it ended, if that is kept."""
    return OutcomePruned(process_id, tombstone.status.value) if tombstone else error


def is_not_now(error: Exception, namespace: Namespace) -> bool:
    """Say whether a wait goes on after a failed read: the server is away, or its address leads elsewhere for now.

    A mismatch of a namespace that was never opened stays: it is that of its settings.
    """
    return isinstance(error, RegistryUnavailable) or (isinstance(error, NamespaceMismatch) and bool(namespace.uuid))


def told_end(text: str) -> tuple[str, End | None]:
    """Return the process id in a message that a process has ended, and how if that stands there and can be read.

    The id is empty for any other message.
    """
    match read_message(text):
        case Ended(process_id):
            return process_id, None
        case EndedWith(process_id, kind, outcome):
            task, _, state = kind.rpartition("|")
            try:
                code = state.encode()
                return process_id, End(STATUSES[code], decode_outcome(code, outcome, 0, None), task or None)
            except Exception:  # noqa: BLE001 - its row says it, or why that cannot be read
                return process_id, None
    return "", None


def reread_delay_s() -> float:
    """Return how long to wait for a message before reading the row again, 5 to 10 s (rule 9.3)."""
    return jittered(_REREAD_S, _REREAD_SPREAD)


def retry_delay_s(failures: int) -> float:
    """Return how long to wait before the next read, s, after ``failures`` reads in a row without an answer."""
    return jittered(backoff(failures, 0.05, 2.0), 0.2)


def closed_error() -> LashError:
    """Return the error for a wait whose session was closed."""
    return LashError("closed while somebody waited for an outcome")


def _checked_timeout(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise SettingsError(f"expected timeout to be a number of seconds, 0 or more, or None, got {shown(value)}")
    return value
