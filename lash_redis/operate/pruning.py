"""Forget processes that have ended, and say how many."""

from __future__ import annotations

from typing import TypedDict

from lash_redis.registry.answers import PruneReport
from lash_redis.registry.registry import ProcessRegistry


async def prune(
    registry: ProcessRegistry, *, before_ms: int | None = None, older_than_ms: int | None = None
) -> PruneReport:
    """Forget what ended before a time, or longer ago than this, by the server's clock.

    Raises:
        SettingsError: not one of the two is given.
    """
    return await registry.prune(before_ms, older_than_ms=older_than_ms)


class PruneView(TypedDict):
    """What was forgotten."""

    processes: int


def prune_view(report: PruneReport) -> PruneView:
    """Return what was forgotten."""
    return {"processes": report.processes}
