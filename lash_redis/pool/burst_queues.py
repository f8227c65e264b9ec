"""Whether a burst can do what its queues ask: one that serves a misspelt queue would end at once, and well."""

from __future__ import annotations

from collections.abc import Sequence

from lash_redis.core.errors import SettingsError
from lash_redis.core.lanes import lane_parts
from lash_redis.core.model import Phase
from lash_redis.core.near_names import did_you_mean
from lash_redis.pool.choosing import first_few
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.settings import WorkerSettings


async def check_queues(registry: ProcessRegistry, own: Sequence[str] | None, settings: WorkerSettings) -> None:
    """Check that a burst knows each queue that it is to serve: its tasks, a declared bound or waiting work name it.

    A pool that stays is not refused: work may come to such a queue, from a submit that names it.

    Args:
        registry: nobody has claimed anything of it yet for this pool.
        own: the queues of the tasks; None: they are not known.
        settings: of its worker processes.

    Raises:
        SettingsError: nobody knows one of the queues.
    """
    if own is None or not settings.leaves_when_empty:
        return
    known = dict.fromkeys(own)
    unknown = [queue for queue in settings.queue_names if queue not in known]
    if not unknown:
        return
    known |= dict.fromkeys(each.bound.queue for each in await registry.bounds())
    for partition in range(registry.partitions):
        counts = await registry.counts(partition)
        phases = counts.phases()
        if phases[Phase.BLOCKED] or (settings.burst_delayed and phases[Phase.DELAYED]):
            return  # of which queue they are, no count says
        known |= dict.fromkeys(lane_parts(lane)[0] for lane in counts.lanes)
    for queue in unknown:
        if queue not in known:
            raise SettingsError(
                f"expected --queues of a burst to be queues of its tasks, or in which work waits, got {queue!r}"
                f"{did_you_mean(queue, known) or ':'} it knows {', '.join(first_few(list(known)))}. A queue that only "
                f"submits name is declared: lash.queue({queue!r}, most_waiting=None)"
            )
