"""What the pool tells of: one table of events, each with its fields and level.

Logged through ``logging.getLogger("lash_redis")`` as one line of ``name key=value``; the same as attributes ``event``
and ``fields`` of the log record, for those who want JSON. Never called inside a signal handler.
"""

from __future__ import annotations

import logging

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


def emit(event: str, **fields: object) -> None:
    """Tell of one event of ``EVENTS``."""
    level = EVENTS[event][0]
    if _LOG.isEnabledFor(level):
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        _LOG.log(level, "%s %s", event, text, extra={"event": event, "fields": fields})
