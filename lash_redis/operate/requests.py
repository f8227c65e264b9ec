"""Ask that a process end: record a cancel or abandon request, and say which request stands and what follows."""

from __future__ import annotations

import msgspec

from lash_redis.core.model import AbandonRequest, CancelRequest, RecoveryDisposition
from lash_redis.core.timing import wall_ms
from lash_redis.core.verdict import Action
from lash_redis.operate.explain import (
    Explanation,
    ExplanationView,
    OwnerLife,
    explain,
    explanation_view,
)
from lash_redis.operate.row_views import Plain
from lash_redis.registry.registry import ProcessRegistry


class RequestReport(msgspec.Struct, frozen=True):
    """What became of a request.

    Attributes:
        recorded: the request was recorded now (False: an earlier one stands).
        request: the request that stands: the first one that was made.
        follows: what happens now, one sentence without its end. A user interface adds how its users make a request.
        explanation: the process as it stands now.
    """

    recorded: bool
    request: AbandonRequest | CancelRequest | None
    follows: str
    explanation: Explanation


async def cancel(registry: ProcessRegistry, process_id: str, by: str, reason: str) -> RequestReport:
    """Record a cancel request: the work of the process is to stop.

    Raises:
        UnknownProcess, AlreadyTerminal: there is nothing to stop.
    """
    request = CancelRequest(by, wall_ms(), reason)
    record = await registry.request_cancel(process_id, request)
    explanation = await explain(registry, process_id)
    stands = record.cancel_request
    return RequestReport(stands == request, stands, _after_cancel(explanation), explanation)


async def abandon(registry: ProcessRegistry, process_id: str, by: str, reason: str) -> RequestReport:
    """Record an abandon request: the result of the process may stay unknown.

    Raises:
        UnknownProcess, AlreadyTerminal: there is nothing to give up.
        NothingToAbandon: it is rerunnable, or nobody started it: cancel it instead.
    """
    request = AbandonRequest(by, wall_ms(), reason)
    record = await registry.request_abandon(process_id, request)
    explanation = await explain(registry, process_id)
    stands = record.abandon_request
    return RequestReport(stands == request, stands, _after_abandon(explanation), explanation)


def _after_cancel(explanation: Explanation) -> str:
    row = explanation.row
    if row.is_terminal:
        return f"it is {row.status.value}"
    if row.disposition is RecoveryDisposition.EXTERNALLY_OWNED:
        return "it happens outside: its outside actor is shown the request, no more; that actor ends it, or an abandon"
    if not explanation.facts.takeable and row.holder is not None:
        return f"{row.holder.owner_id} holds it and is told; the work ends as cancelled if it lets itself be stopped"
    if explanation.verdict.action is Action.UNCERTAIN:
        return "it is uncertain, and a cancel settles no uncertainty"
    return f"nobody holds it: the next sweep {explanation.sweep_does}"


def _after_abandon(explanation: Explanation) -> str:
    row, starter = explanation.row, explanation.starter
    if row.is_terminal:
        return f"it is {row.status.value}"
    if not explanation.facts.takeable and row.holder is not None:
        return (
            f"{row.holder.owner_id} holds it: its work is asked to stop, and says itself how it ended; "
            "if it never does, a sweep writes abandoned once the lease has ended"
        )
    settles = (
        "the next sweep writes abandoned: within seconds, while any worker runs "
        "(if its owner comes back first, it is asked to stop)"
    )
    if starter is not None and starter.life is OwnerLife.ALIVE:
        return f"{settles}. Mind: its starter is alive ({starter.text}) and may still be running it"
    return settles


class RequestView(ExplanationView):
    """What became of a request, and the process as it stands now."""

    recorded: bool
    request: Plain | None  # requested_by, requested_at_ms, reason
    follows: str


def request_view(report: RequestReport) -> RequestView:
    """Return what became of a request, and the process as it stands now."""
    return {
        "recorded": report.recorded,
        "request": msgspec.to_builtins(report.request),
        "follows": report.follows,
        **explanation_view(report.explanation),
    }
