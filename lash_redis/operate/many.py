"""Act on many processes, or count them: cancel them, or submit them again."""

from __future__ import annotations

from typing import TypedDict

from lash_redis.core.model import CancelRequest
from lash_redis.core.timing import wall_ms
from lash_redis.registry.answers import BulkReport
from lash_redis.registry.calls.selecting import Which
from lash_redis.registry.registry import ProcessRegistry


async def cancel_many(
    registry: ProcessRegistry, which: Which, by: str, reason: str, *, most: int, only_count: bool
) -> BulkReport:
    """Record a cancel request on each process that is meant and has not ended; or only count them.

    Raises:
        SettingsError: nothing says which processes are meant.
    """
    request = CancelRequest(by, wall_ms(), reason)
    return await registry.cancel_many(request, which, most=most, only_count=only_count)


async def replay_many(registry: ProcessRegistry, which: Which, *, most: int, only_count: bool) -> BulkReport:
    """Submit again each process that is meant and ended in the state that is meant; or only count them."""
    return await registry.replay_many(which, most=most, only_count=only_count)


class BulkView(TypedDict):
    """What was done to many processes, or would be."""

    first: list[str]
    found: int
    done: dict[str, int]  # by what became of them; empty if they were only counted
    left_out: dict[str, int]  # by the reason
    read: int
    has_more: bool


def bulk_view(report: BulkReport) -> BulkView:
    """Return what was done to many processes."""
    return {
        "first": report.first,
        "found": report.found,
        "done": report.done,
        "left_out": report.left_out,
        "read": report.read,
        "has_more": report.has_more,
    }
