"""What operators see, as plain data: dicts, lists, texts and numbers. Pure. ``--json`` prints a view as it is.

The keys are an interface: a key may be added, none is renamed or left out. A moment ends in ``_ms`` and is by the
server's clock, except those of requests, which are by the clock of whoever asked. An ``owner`` is a dict of
``owner_id``, ``incarnation_id`` and ``liveness``.
"""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec

from lash_redis.core.lanes import lane_parts
from lash_redis.core.model import Abandoned, Cancelled, ExternalInput, Failure, Outcome, Success, TaskInput
from lash_redis.operate.counts import Totals
from lash_redis.operate.explain import Explanation, OwnerState
from lash_redis.operate.requests import RequestReport
from lash_redis.registry.calls.listing import ListedRows
from lash_redis.registry.registry import ProcessRegistry
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


class RowView(TypedDict):
    """A process without its payloads."""

    id: str
    status: str
    phase: str | None  # None once terminal
    disposition: str
    task: str | None
    signature: str | None
    queue: str
    granted_to: str | None
    registered_at_ms: int
    ended_at_ms: int | None
    first_started: Plain | None  # owner, started_at_ms
    lease: LeaseView | None  # None once given back or terminal
    lease_lapsed: bool
    losses: int
    loss_limit: int
    cancel_request: Plain | None  # requested_by, requested_at_ms, reason
    abandon_request: Plain | None  # the same


class ProcessView(RowView):
    """A process with its payloads."""

    args: list[Any] | None  # None for externally owned work, like kwargs
    kwargs: Plain | None
    metadata: Plain | None  # of externally owned work
    outcome: Plain | None  # its ``status`` says which other keys it has


class OwnerStateView(TypedDict):
    """Whether an owner lives, as seen from here."""

    life: str  # alive, dead or unknown
    text: str
    proof: Plain | None  # kind, detail


class VerdictView(TypedDict):
    """The line of the verdict's table that a process meets."""

    line: int
    action: str
    text: str
    writer: str | None
    facts: Plain


class ExplanationView(TypedDict):
    """A process, its owners and its verdict."""

    process: ProcessView
    starter: OwnerStateView | None
    holder: OwnerStateView | None
    verdict: VerdictView


class RequestView(TypedDict):
    """What became of a request."""

    recorded: bool
    request: Plain | None  # requested_by, requested_at_ms, reason
    follows: str
    process: ProcessView
    starter: OwnerStateView | None
    holder: OwnerStateView | None
    verdict: VerdictView


class NamespaceView(TypedDict):
    """A namespace: its counts, and a page of its processes."""

    namespace: str
    partitions: int
    server: Plain | None  # version, durability
    phases: dict[str, int]
    states: dict[str, int]
    abandon_requested: int
    processes: list[RowView]
    cursor: str | None  # of the next page
    lapsed: int


def row_view(row: Row) -> RowView:
    """Return a process without its payloads."""
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
        "lease": _lease_view(row),
        "lease_lapsed": record.lease_lapsed,
        "losses": record.losses,
        "loss_limit": record.loss_limit,
        "cancel_request": _plain(record.cancel_request),
        "abandon_request": _plain(record.abandon_request),
    }


def _lease_view(row: Row) -> LeaseView | None:
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


def process_view(row: Row) -> ProcessView:
    """Return a process with its payloads."""
    record = row.record()
    args, kwargs, metadata = None, None, None
    match record.input:
        case TaskInput(_, positional, by_name):
            args, kwargs = list(positional), dict(by_name)
        case ExternalInput(given):
            metadata = dict(given)
    return {
        **row_view(row),
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
            return {"status": "abandoned", "evidence": _plain(evidence)}
    return None


def explanation_view(explanation: Explanation) -> ExplanationView:
    """Return a process, its owners and its verdict."""
    verdict = explanation.verdict
    return {
        "process": process_view(explanation.row),
        "starter": _owner_state_view(explanation.starter),
        "holder": _owner_state_view(explanation.holder),
        "verdict": {
            "line": verdict.line,
            "action": verdict.action.value,
            "text": verdict.text,
            "writer": verdict.writer.value if verdict.writer else None,
            "facts": _plain(explanation.facts),
        },
    }


def _owner_state_view(state: OwnerState | None) -> OwnerStateView | None:
    if state is None:
        return None
    return {"life": state.life.value, "text": state.text, "proof": _plain(state.proof)}


def request_view(report: RequestReport) -> RequestView:
    """Return what became of a request, and the process as it stands now."""
    return {
        "recorded": report.recorded,
        "request": _plain(report.request),
        "follows": report.follows,
        **explanation_view(report.explanation),
    }


def namespace_view(registry: ProcessRegistry, totals: Totals, page: ListedRows) -> NamespaceView:
    """Return the counts of a namespace, and a page of its processes."""
    server = registry.server
    return {
        "namespace": registry.namespace,
        "partitions": registry.partitions,
        "server": {"version": server.version, "durability": server.durability} if server else None,
        "phases": {phase.value: number for phase, number in totals.phases.items()},
        "states": {status.value: number for status, number in totals.statuses.items()},
        "abandon_requested": totals.abandon_requested,
        "processes": [row_view(row) for row in page.rows],
        "cursor": page.cursor,
        "lapsed": totals.lapsed,
    }


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
