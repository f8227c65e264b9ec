"""Every attempt of one worker. What stands here is in flight: recovery by this worker leaves it alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lash_redis.worker.attempt import Attempt


class Roster:
    """Every attempt of this worker: running, or ended with a result not yet written."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempt] = {}
        self._running: set[Attempt] = set()
        self._demanding: set[Attempt] = set()

    def __len__(self) -> int:
        return len(self._attempts)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(list(self._attempts.values()))

    def __contains__(self, process_id: str) -> bool:
        return process_id in self._attempts

    @property
    def running(self) -> int:
        """How many run. Each takes a slot until its code has ended, whatever became of its lease."""
        return len(self._running)

    @property
    def demanding(self) -> Collection[Attempt]:
        """What runs and may not run beside just anything: owner-bound work, and what runs alone (rule 4.6)."""
        return self._demanding

    def get(self, process_id: str) -> Attempt | None:
        """Return the attempt at a process, if there is one here."""
        return self._attempts.get(process_id)

    def add(self, attempt: Attempt) -> None:
        """Add an attempt that is about to run."""
        self._attempts[attempt.process_id] = attempt
        self._running.add(attempt)
        if attempt.bound or attempt.alone:
            self._demanding.add(attempt)

    def end(self, attempt: Attempt) -> None:
        """Note that the code of an attempt has ended."""
        self._running.discard(attempt)
        self._demanding.discard(attempt)
        attempt.ended = True

    def forget(self, attempt: Attempt) -> None:
        """Remove an attempt for which nothing is left to do."""
        if self._attempts.get(attempt.process_id) is attempt:
            del self._attempts[attempt.process_id]
