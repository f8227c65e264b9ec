"""Whether a pool can start at all: it gives up if no worker process becomes ready, and waits for its server."""

from __future__ import annotations

from lash_redis.pool.life import LifeEnd
from lash_redis.pool.messages import BAD_SETTINGS, FAULT, Fatal

_MAX_FAILED_STARTS = 5  # in a row, in one slot


class Starts:
    """What is known of the starts of one pool. Pure.

    Once one worker process was ready, the pool goes on for ever: what fails later is started again. Before that it
    waits just as long for a server that does not answer: a machine may start the pool before its server.

    Attributes:
        fatal: why none could start, None if one could or none has failed.
        is_hopeless: another try would not help.
    """

    def __init__(self) -> None:
        self._was_ready = False
        self.fatal: Fatal | None = None
        self.is_hopeless = False

    def on_ready(self) -> None:
        """Take notice that a worker process claims."""
        self._was_ready = True
        self.fatal = None

    def on_life_end(self, end: LifeEnd, failed_starts: int, *, is_open: bool) -> None:
        """Take notice of the end of a worker process.

        Args:
            end: how it ended.
            failed_starts: how many in a row of its slot have not become ready, this one included; those that found no
                server do not count.
            is_open: whether the pool has opened its registry: what kept this one from starting is not the settings.
        """
        if self._was_ready or self.is_hopeless or not end.is_fault:
            return
        if end.is_outage:
            self.fatal = end.fatal
            return
        if end.fatal is not None and end.fatal.exit_code == BAD_SETTINGS and not is_open:
            self.fatal, self.is_hopeless = end.fatal, True
            return
        tries = f"{failed_starts} were started in a row, the last one: {end.status}"
        reason = f"\n{end.fatal.text}" if end.fatal is not None else ""
        self.fatal = Fatal(f"no worker process has become ready; {tries}{reason}", FAULT)
        self.is_hopeless = failed_starts >= _MAX_FAILED_STARTS
