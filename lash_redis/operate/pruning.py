"""Forget processes that have ended, and say how many."""

from __future__ import annotations

from typing import TypedDict

from lash_redis.core.outcomes import Resolution
from lash_redis.registry.answers import PruneReport
from lash_redis.registry.registry import ProcessRegistry


async def prune(
    registry: ProcessRegistry,
    *,
    before_ms: int | None = None,
    older_than_ms: int | None = None,
    accepting: Resolution | None = None,
    only_count: bool = False,
) -> PruneReport:
    """Forget what ended before a time, or longer ago than this, by the server's clock; or only count it.

    ``accepting``: for what was abandoned and nobody has resolved, which stays without it.

    Raises:
        SettingsError: not one of the two times is given.
    """
    if only_count:
        return await registry.prunable(before_ms, older_than_ms=older_than_ms)
    return await registry.prune(before_ms, older_than_ms=older_than_ms, accepting=accepting)


class PruneView(TypedDict):
    """What was forgotten, or counted."""

    processes: int
    forgotten: bool  # False: they were only counted
    accepted: int  # abandoned ones that were resolved as accepted first
    unresolved: int  # abandoned ones that nobody has resolved, which stay


def prune_view(report: PruneReport, *, only_count: bool = False) -> PruneView:
    """Return what was forgotten, or counted."""
    return {
        "processes": report.processes,
        "forgotten": not only_count,
        "accepted": report.accepted,
        "unresolved": report.unresolved,
    }
