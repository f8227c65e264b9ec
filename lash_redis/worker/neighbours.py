"""What may be claimed beside what runs here: what has lost two owners runs beside no owner-bound work (rule 4.6).

Such a row may be what ends its worker process. Owner-bound work in the same OS process would be abandoned then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lash_redis.core.timing import boottime_ms
from lash_redis.worker.attempt import Attempt

PATIENCE_MS: Final = 60_000  # a row that waits for longer comes before new owner-bound work


class Neighbours:
    """The neighbours that rows may have in one worker.

    Args:
        attempts: returns what runs here, or is about to: at least what is owner-bound, and what runs alone.
    """

    def __init__(self, attempts: Callable[[], Iterable[Attempt]]) -> None:
        self._attempts = attempts
        self._passed_since: dict[int, int] = {}

    @property
    def may_take_alone(self) -> bool:
        """Whether a row that runs alone may be claimed: neither such a row nor owner-bound work runs."""
        return not any((attempt.alone or attempt.bound) and not attempt.ended for attempt in self._attempts())

    @property
    def may_take_bound(self) -> bool:
        """Whether owner-bound work may be claimed: no row that runs alone runs, or has waited for too long."""
        if any(attempt.alone and not attempt.ended for attempt in self._attempts()):
            return False
        return not self._is_impatient()

    def claimed(self, partition: int, *, passed_alone: bool) -> bool:
        """Note whether a claim passed over a row that runs alone; return whether to claim again at once."""
        if passed_alone:
            self._passed_since.setdefault(partition, boottime_ms())
            return False
        was_impatient = self._is_impatient()
        self._passed_since.pop(partition, None)
        return was_impatient and not self._is_impatient()

    def bound_ended(self) -> list[int]:
        """Return the partitions that may have a row which could not run beside owner-bound work that has ended."""
        return list(self._passed_since) if self._passed_since and self.may_take_alone else []

    def _is_impatient(self) -> bool:
        return any(boottime_ms() - since >= PATIENCE_MS for since in self._passed_since.values())
