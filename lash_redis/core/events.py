"""What the pool tells of: one table of events, each with its fields and level.

Logged through ``logging.getLogger("lash_redis")`` as one line of ``name key=value``; the same as attributes ``event``
and ``fields`` of the log record, for those who want JSON. Never called inside a signal handler.
"""

from __future__ import annotations

import logging

from lash_redis.core.timing import boottime_ms

_LOG = logging.getLogger("lash_redis")

EVENTS: dict[str, tuple[int, str]] = {
    "worker.ready": (logging.INFO, "owner, incarnation, queues, concurrency: it claims from now on"),
    "worker.draining": (logging.INFO, "owner, running, grace_ms: it claims no more"),
    "worker.drained": (logging.INFO, "owner, finished, released, abandoned, deferred: it leaves"),
    "worker.unavailable": (logging.WARNING, "operation, reason: the server did not answer; tried again"),
    "worker.stopped_claiming": (logging.ERROR, "reason: the namespace or the server is not what it was"),
    "process.lease_lost": (logging.WARNING, "process_id: the lease lapsed or was replaced while the work ran"),
    "process.result_refused": (logging.WARNING, "process_id, status: a result came too late to be written"),
    "process.stop_requested": (logging.INFO, "process_id, why: its work is asked to stop"),
    "process.failed": (logging.INFO, "process_id, code, message: the work reported failure"),
    "process.settled": (logging.INFO, "process_id, line, action: a verdict was carried out without a lease"),
    "process.abandoned": (logging.WARNING, "process_id, writer, owner, proof: an owner was lost, the result unknown"),
    "process.uncertain": (logging.WARNING, "process_id, owner: started, its owner silent; an abandon request settles"),
    "pool.started": (logging.INFO, "pid, workers, must_allow_s: the supervisor runs"),
    "pool.spawned": (logging.INFO, "slot, pid, incarnation: a worker process was started"),
    "pool.died": (logging.WARNING, "slot, pid, status: a worker process ended on its own"),
    "pool.reaped": (logging.INFO, "slot, pid, status, settled: its death is recorded and its work settled"),
    "pool.signal": (logging.INFO, "signal, grace_ms: a drain begins, or its grace is over"),
    "pool.drained": (logging.INFO, "abandoned, deferred, released, finished: the pool ends"),
}


# What an outage would say many times a second is said once in a while, with how often it was.
_REPEATING = frozenset({"worker.unavailable"})
_REPEATED_EVERY_MS = 10_000


class _Repeats:
    """How often each repeating event was not told since it was told last."""

    def __init__(self) -> None:
        self._told_at_ms: dict[tuple[str, object], int] = {}
        self._untold: dict[tuple[str, object], int] = {}

    def are_due(self, what: tuple[str, object]) -> bool:
        """Say whether to tell of it now."""
        now = boottime_ms()
        if now - self._told_at_ms.get(what, -_REPEATED_EVERY_MS) < _REPEATED_EVERY_MS:
            self._untold[what] = self._untold.get(what, 0) + 1
            return False
        self._told_at_ms[what] = now
        return True

    def taken(self, what: tuple[str, object]) -> int:
        """Return how often it was not told, and count anew."""
        return self._untold.pop(what, 0)


_repeats = _Repeats()


def emit(event: str, **fields: object) -> None:
    """Tell of one event of ``EVENTS``; of one that repeats itself every 10 s, with ``repeated`` saying how often."""
    level = EVENTS[event][0]
    if event in _REPEATING:
        what = (event, fields.get("operation"))
        if not _repeats.are_due(what):
            return
        if repeated := _repeats.taken(what):
            fields["repeated"] = repeated
    if _LOG.isEnabledFor(level):
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        _LOG.log(level, "%s %s", event, text, extra={"event": event, "fields": fields})
