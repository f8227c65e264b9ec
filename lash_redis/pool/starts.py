"""Whether a pool can start at all: it gives up if no worker process becomes ready, and waits for its server."""

from __future__ import annotations

from lash_redis.pool.messages import FAULT, Fatal
from lash_redis.pool.pool import LifeEnd

_MAX_FAILED_STARTS = 5  # in a row, in one slot


class Starts:
    """What is known of the starts of one pool. Pure.

    Once one worker process was ready, the pool goes on for ever: what fails later is started again. Before that it
    waits for a server that does not answer, since a machine may start the pool before its server, but not for ever.

    Attributes:
        was_ready: one worker process has been ready.
        waits_since_ms: since when the server has not answered, before one was ready; None if it has.
        fatal: why none could start, None if one could or none has failed.
        is_hopeless: another try would not help.
    """

    def __init__(self) -> None:
        self.was_ready = False
        self.waits_since_ms: int | None = None
        self.fatal: Fatal | None = None
        self.is_hopeless = False

    def on_ready(self) -> None:
        """Take notice that a worker process claims."""
        self.was_ready = True
        self.waits_since_ms = self.fatal = None

    def on_waiting(self, reason: str, now_ms: int) -> bool:
        """Take notice that the server does not answer; return whether it did until now, and time is to be kept."""
        if self.was_ready or self.is_hopeless:
            return False
        is_first = self.waits_since_ms is None
        if is_first:
            self.waits_since_ms = now_ms
        self.fatal = Fatal(f"no worker process has become ready: {reason}", FAULT)
        return is_first

    def on_answer(self) -> None:
        """Take notice that the server answers."""
        if self.waits_since_ms is not None:
            self.waits_since_ms = self.fatal = None

    def on_timeout(self, since_ms: int, waited: str) -> None:
        """Give up if the server has not answered since then."""
        if self.waits_since_ms == since_ms and self.fatal is not None:
            self.fatal = Fatal(f"{self.fatal.text}; the pool has waited for {waited}", FAULT)
            self.is_hopeless = True

    def on_life_end(self, end: LifeEnd, failed_starts: int, *, is_open: bool) -> None:
        """Take notice of the end of a worker process.

        Args:
            end: how it ended.
            failed_starts: how many in a row of its slot have not become ready, this one included.
            is_open: whether the pool has opened its registry: what kept this one from starting is not the settings.
        """
        if self.was_ready or self.is_hopeless or not end.is_fault:
            return
        if end.has_bad_settings and not is_open:
            self.fatal, self.is_hopeless = end.fatal, True
            return
        number = (
            f"{failed_starts} were started in a row, the last one" if failed_starts > 1 else "the one that was started"
        )
        tries = f"{number}: {end.status}"
        reason = f"\n{end.fatal.text}" if end.fatal is not None else ""
        self.fatal = Fatal(f"no worker process has become ready; {tries}{reason}", FAULT)
        self.is_hopeless = failed_starts >= _MAX_FAILED_STARTS
