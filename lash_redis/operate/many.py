"""Act on many processes, or count them: cancel them, or submit them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from lash_redis.core.model import CancelRequest
from lash_redis.core.timing import wall_ms
from lash_redis.recovery.living_starters import why_not_replayed
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


async def replay_many(
    registry: ProcessRegistry, which: Which, *, most: int, only_count: bool, force: bool = False
) -> BulkReport:
    """Submit again each process that is meant and ended in the state that is meant; or only count them.

    Abandoned work whose starter is alive on this machine is left out, but by ``force``.
    """
    why_not = why_not_replayed(force=force)
    return await registry.replay_many(which, most=most, only_count=only_count, why_not=why_not)


async def replay(registry: ProcessRegistry, process_ids: Sequence[str], *, force: bool = False) -> list[str]:
    """Submit these processes again; return for each ``submitted``, ``submitted before``, or why it is not."""
    return await registry.replay(process_ids, why_not_replayed(force=force))


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
