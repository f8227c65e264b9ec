"""Show a row as plain data, with and without its payloads."""

from __future__ import annotations

from typing import Any, TypedDict, cast

import msgspec

from lash_redis.core.lanes import lane_parts
from lash_redis.core.model import ExternalInput, TaskInput
from lash_redis.core.options import OPTIONS, ShownOptions
from lash_redis.core.outcomes import Abandoned, Cancelled, Failure, Outcome, Success
from lash_redis.registry.rows import Row

Plain = dict[str, Any]


class LeaseView(TypedDict):
    """A lease, live or lapsed."""

    owner: Plain
    live: bool
    token: str
    fencing_token: int
    claimed_at_ms: int
    expires_at_ms: int


class RowView(ShownOptions):
    """A process without its payloads. It has every option of the process, by its name."""

    id: str
    labels: dict[str, str]
    replay_of: str | None
    status: str
    phase: str | None  # None once terminal
    disposition: str
    task: str | None
    signature: str | None
    granted_to: str | None
    registered_at_ms: int
    ended_at_ms: int | None
    first_started: Plain | None  # owner, started_at_ms
    lease: LeaseView | None  # None once given back or terminal
    lease_lapsed: bool
    losses: int
    key: str | None  # whom it is for; None: no limit and no turn is by key
    attempts: int  # runs that ended by themselves, and the one that runs now
    releases: int
    last_failure: Plain | None  # of the last run after which it was tried again: code, message, traceback
    due_at_ms: int | None  # when a delayed process may run, by the server's clock
    expires_at_ms: int | None  # when it is cancelled if nobody has started it
    runs_alone: bool  # a worker runs one such process at a time
    waits: str | None  # why it waits, if more is known than that it waits for its turn
    cancel_request: Plain | None  # requested_by, requested_at_ms, reason
    abandon_request: Plain | None  # the same
    resolution: Plain | None  # kind, by, at_ms, reason, value: what was found out after it was abandoned


class ProcessView(RowView):
    """A process with its payloads."""

    args: list[Any] | None  # None for externally owned work, like kwargs
    kwargs: Plain | None
    metadata: Plain | None  # of externally owned work
    outcome: Plain | None  # its ``status`` says which other keys it has


def row_view(row: Row, waits: str = "") -> RowView:
    """Return a process without its payloads; ``waits`` says why it waits, if nobody serves it."""
    record = row.record()
    _, task, signature = lane_parts(row.lane)
    return {
        "id": record.id,
        "status": record.status.value,
        "phase": record.phase.value if record.phase else None,
        "disposition": record.disposition.value,
        "task": task or None,
        "signature": signature or None,
        **_options_view(row),
        "keep_results_ms": record.keep_results_ms,
        "labels": dict(record.labels),
        "replay_of": record.replay_of,
        "granted_to": record.granted_to,
        "registered_at_ms": record.registered_at_ms,
        "ended_at_ms": record.ended_at_ms,
        "first_started": msgspec.to_builtins(record.first_started),
        "lease": _lease_view(row),
        "lease_lapsed": record.lease_lapsed,
        "losses": record.losses,
        "key": record.key,
        "attempts": record.attempts,
        "releases": record.releases,
        "last_failure": msgspec.to_builtins(record.last_failure),
        "due_at_ms": record.due_at_ms,
        "expires_at_ms": record.expires_at_ms,
        "runs_alone": row.runs_alone,
        "waits": waits or None,
        "cancel_request": msgspec.to_builtins(record.cancel_request),
        "abandon_request": msgspec.to_builtins(record.abandon_request),
        "resolution": msgspec.to_builtins(record.resolution),
    }


def _options_view(row: Row) -> ShownOptions:
    return cast("ShownOptions", {name: msgspec.to_builtins(getattr(row.options, name)) for name in OPTIONS})


def _lease_view(row: Row) -> LeaseView | None:
    lease = row.lease()
    if lease is None:
        return None
    return {
        "owner": msgspec.to_builtins(lease.owner),
        "live": row.is_live,
        "token": lease.token,
        "fencing_token": lease.fencing_token,
        "claimed_at_ms": lease.claimed_at_ms,
        "expires_at_ms": lease.expires_at_ms,
    }


def process_view(row: Row, waits: str = "") -> ProcessView:
    """Return a process with its payloads; ``waits`` as for ``row_view``."""
    record = row.record()
    args, kwargs, metadata = None, None, None
    match record.input:
        case TaskInput(_, positional, by_name):
            args, kwargs = list(positional), dict(by_name)
        case ExternalInput(given):
            metadata = dict(given)
    return {
        **row_view(row, waits),
        "args": args,
        "kwargs": kwargs,
        "metadata": metadata,
        "outcome": _outcome_view(record.outcome),
    }


def _outcome_view(outcome: Outcome | None) -> Plain | None:
    match outcome:
        case Success(value):
            return {"status": "completed", "value": value}
        case Failure(code, message, traceback):
            return {"status": "failed", "code": code, "message": message, "traceback": traceback}
        case Cancelled(reason):
            return {"status": "cancelled", "reason": reason}
        case Abandoned(evidence):
            return {"status": "abandoned", "evidence": msgspec.to_builtins(evidence)}
    return None
