"""What is paused, for people and as data, and whether a row waits for that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from lash_redis.core.lanes import lane_parts
from lash_redis.core.near_names import did_you_mean
from lash_redis.core.pausing import Paused
from lash_redis.operate.row_views import Plain
from lash_redis.registry.registry import ProcessRegistry


class PausedView(TypedDict):
    """A queue or a task that is paused."""

    queue: str | None
    task: str | None
    by: str
    at_ms: int
    reason: str | None
    partitions: int  # in which it is paused; if fewer than ``of``, pause or resume it again
    of: int


def paused_view(paused: Paused) -> Plain:
    """Return what is paused, by whom, when and why."""
    request = paused.request
    view: PausedView = {
        "queue": paused.queue,
        "task": paused.task,
        "by": request.requested_by,
        "at_ms": request.requested_at_ms,
        "reason": request.reason,
        "partitions": paused.partitions,
        "of": paused.of,
    }
    return dict(view)


def in_words(paused: Paused) -> str:
    """Return what is paused, by whom and why, in one line."""
    parts = [f"{paused.what} is paused by {paused.request.requested_by}"]
    if paused.request.reason:
        parts.append(f": {paused.request.reason}")
    if paused.where:
        parts.append(f" ({paused.where})")
    return "".join(parts)


def why_paused(pauses: Sequence[Paused], lane: str) -> str:
    """Return why nothing of a lane begins, if its queue or its task is paused; else empty."""
    return "; ".join(in_words(each) for each in _of_lane(pauses, lane))


def _of_lane(pauses: Sequence[Paused], lane: str) -> list[Paused]:
    queue, task, _ = lane_parts(lane)
    return [each for each in pauses if queue == each.queue or task == each.task]


async def why_unknown(registry: ProcessRegistry, *, queue: str | None, task: str | None) -> str:
    """Return that nothing is known of a queue or a task, and what it may stand for; empty if something is.

    Known is what work waits in or of, a queue that a worker that lives serves or that is bounded, and a task of which
    work has ended.
    """
    queues, tasks = set[str](), set[str]()
    for partition in range(registry.partitions):
        counts = await registry.counts(partition)
        for lane in counts.lanes:
            queues.add(lane_parts(lane)[0])
            tasks.add(lane_parts(lane)[1])
        tasks.update(of for of, _ in counts.terminal)
        queues.update((await registry.living(partition)).queues)
    queues.update(each.bound.queue for each in await registry.bounds())
    if queue is not None:
        hint = did_you_mean(queue, queues)
        return "" if queue in queues else f"no worker serves queue {queue!r}, and nothing waits in it{hint}"
    hint = did_you_mean(task, tasks)
    return "" if task in tasks else f"no work of task {task!r} waits or has ended{hint}"
