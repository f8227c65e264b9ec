"""One wait, without the waiting: what a row means to it, and how long to go without reading one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lash_redis.core.errors import (
    LashError,
    OutcomePruned,
    OutcomeUncertain,
    RegistryUnavailable,
    SettingsError,
    UnknownProcess,
)
from lash_redis.core.model import Phase, ProcessRecord
from lash_redis.core.timing import backoff, jittered
from lash_redis.registry.rows import Row

_REREAD_S: Final = 7.5
_REREAD_SPREAD: Final = 1 / 3  # 5 to 10 s


class Wait:
    """One caller's wait for one process, and what the rows that are read meanwhile mean to it.

    Args:
        process_id: whose end is waited for.
        known: the process is known to be registered, so that no row means *pruned*.
        raise_uncertain: end the wait where the process is uncertain.
        timeout: seconds, None to wait for ever.

    Raises:
        SettingsError: the timeout is no number of seconds.
    """

    def __init__(self, process_id: str, *, known: bool, raise_uncertain: bool, timeout: float | None) -> None:
        self.process_id = process_id
        self.timeout = _checked_timeout(timeout)
        self._known = known
        self._raise_uncertain = raise_uncertain
        self._phase: Phase | None = None

    def judge(self, row: Row | None) -> ProcessRecord | None:
        """Return the record if the process has ended, None to wait on.

        Raises:
            OutcomePruned, UnknownProcess: there is no row (any more).
            OutcomeUncertain: it is uncertain, and the caller wants to know.
        """
        if row is None:
            raise OutcomePruned(self.process_id) if self._known else UnknownProcess(self.process_id)
        self._known = True
        self._phase = row.phase
        if row.is_terminal:
            return row.record()
        if self._phase is Phase.UNCERTAIN and self._raise_uncertain:
            raise OutcomeUncertain(self.process_id, row.record())
        return None

    def overdue(self, outages: Sequence[RegistryUnavailable]) -> TimeoutError:
        """Return the error for a wait that took too long, with what is known of the process."""
        known = f"it is {self._phase.value}" if self._phase is not None else "it was not read yet"
        if outages:
            known += f"; {outages[-1]}"
        return TimeoutError(f"process {self.process_id!r} has not ended within {self.timeout} s ({known})")


def ended_id(text: str) -> str:
    """Return the id of the process that a message says has ended; empty if it says something else."""
    kind, _, process_id = text.partition(" ")
    return process_id if kind == "ended" else ""


def until_reread_s() -> float:
    """Return how long to rely on being told, s: 5 to 10."""
    return jittered(_REREAD_S, _REREAD_SPREAD)


def after_outage_s(failures: int) -> float:
    """Return how long to wait, s, after so many reads in a row without an answer."""
    return jittered(backoff(failures, 0.05, 2.0), 0.2)


def closed() -> LashError:
    """Return the error for who waits on something that is closed."""
    return LashError("closed while somebody waited for an outcome")


def _checked_timeout(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise SettingsError(f"expected timeout to be a number of seconds, 0 or more, or None, got {value!r}")
    return value
