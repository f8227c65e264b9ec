"""Forget processes that have ended, and say how many."""

from __future__ import annotations

from typing import TypedDict

from lash_redis.registry.answers import PruneReport
from lash_redis.registry.registry import ProcessRegistry


async def prune(
    registry: ProcessRegistry,
    *,
    before_ms: int | None = None,
    older_than_ms: int | None = None,
    only_count: bool = False,
) -> PruneReport:
    """Forget what ended before a time, or longer ago than this, by the server's clock; or only count it.

    Raises:
        SettingsError: not one of the two is given.
    """
    act = registry.prunable if only_count else registry.prune
    return await act(before_ms, older_than_ms=older_than_ms)


class PruneView(TypedDict):
    """What was forgotten, or counted."""

    processes: int
    forgotten: bool  # False: they were only counted


def prune_view(report: PruneReport, *, only_count: bool = False) -> PruneView:
    """Return what was forgotten, or counted."""
    return {"processes": report.processes, "forgotten": not only_count}
