"""What ``--json`` answers: plain objects whose keys stay. A key may be added, none is renamed or left out. Pure.

Moments end in ``_ms`` and are the server's, but for those of requests, which are their caller's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lash_redis.core.lanes import lane_parts
from lash_redis.core.model import Abandoned, Cancelled, ExternalInput, Failure, Outcome, Success, TaskInput
from lash_redis.core.verdict import Facts, Verdict
from lash_redis.operate.explain import Standing
from lash_redis.registry.rows import Row

Shape = dict[str, Any]


def lease_shape(row: Row) -> Shape | None:
    """Return the last lease, live or lapsed; None once given back or terminal."""
    lease = row.lease()
    if lease is None:
        return None
    return {
        "owner": _plain(lease.owner),
        "live": row.is_live,
        "token": lease.token,
        "fencing_token": lease.fencing_token,
        "claimed_at_ms": lease.claimed_at_ms,
        "expires_at_ms": lease.expires_at_ms,
    }


def row_shape(row: Row) -> Shape:
    """Return a process as a line of ``ps`` has it: all but its payloads."""
    record = row.record()
    _, task, signature = lane_parts(row.lane)
    return {
        "id": record.id,
        "status": record.status.value,
        "phase": record.phase.value if record.phase else None,
        "disposition": record.disposition.value,
        "task": task or None,
        "signature": signature or None,
        "queue": record.queue,
        "granted_to": record.granted_to,
        "registered_at_ms": record.registered_at_ms,
        "ended_at_ms": record.ended_at_ms,
        "first_started": _plain(record.first_started),
        "lease": lease_shape(row),
        "lease_lapsed": record.lease_lapsed,
        "losses": record.losses,
        "loss_limit": record.loss_limit,
        "cancel_request": _plain(record.cancel_request),
        "abandon_request": _plain(record.abandon_request),
    }


def process_shape(row: Row) -> Shape:
    """Return a process whole, with its input and its outcome."""
    record = row.record()
    args, kwargs, metadata = None, None, None
    match record.input:
        case TaskInput(_, positional, by_name):
            args, kwargs = list(positional), dict(by_name)
        case ExternalInput(given):
            metadata = dict(given)
    return row_shape(row) | {
        "args": args,
        "kwargs": kwargs,
        "metadata": metadata,
        "outcome": outcome_shape(record.outcome),
    }


def outcome_shape(outcome: Outcome | None) -> Shape | None:
    """Return how a process ended: ``status`` says which of the other keys there are."""
    match outcome:
        case Success(value):
            return {"status": "completed", "value": value}
        case Failure(code, message, traceback):
            return {"status": "failed", "code": code, "message": message, "traceback": traceback}
        case Cancelled(reason):
            return {"status": "cancelled", "reason": reason}
        case Abandoned(evidence):
            return {"status": "abandoned", "evidence": _plain(evidence)}
    return None


def standing_shape(standing: Standing | None) -> Shape | None:
    """Return whether an owner lives, as seen from here; None if the row names none."""
    if standing is None:
        return None
    return {"life": standing.life.value, "text": standing.text, "proof": _plain(standing.proof)}


def verdict_shape(facts: Facts, verdict: Verdict) -> Shape:
    """Return the line of the verdict's table that a row meets, with the facts that led there."""
    return {
        "line": verdict.line,
        "action": verdict.action.value,
        "text": verdict.text,
        "writer": verdict.writer.value if verdict.writer else None,
        "facts": _plain(facts),
    }


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
