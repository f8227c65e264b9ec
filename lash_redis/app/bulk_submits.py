"""The batches of a ``submit_many``: each is made while the one before is at the server, and sent when that is answered.

So the order is that of the calls, and an error says what it would say of batches that are made one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from lash_redis.app.many_calls import located
from lash_redis.app.process import AppContext
from lash_redis.core.model import ProcessRegistration
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls.alike_rows import AlikeRows, submit_alike
from lash_redis.registry.calls.registration import submit_many
from lash_redis.tasks.declaration import Declaration

Batch: TypeAlias = AlikeRows | list[ProcessRegistration]


async def registered(context: AppContext, task: Declaration, batches: Iterable[Batch]) -> list[str]:
    """Register the batches of a task; return the ids of the processes that stand for them, in their order.

    Raises:
        LashError: as ``submit_many`` of the registry, with a note on how many are registered.
    """
    stand: list[str] = []
    under_way: asyncio.Task[list[str]] | None = None
    try:
        for batch in batches:
            if under_way is not None:
                before, under_way = under_way, None
                stand += await before
            under_way = asyncio.create_task(_registered(context, task, batch, len(stand)))
            await asyncio.sleep(0)  # it is sent, and the next one is made meanwhile
    except Exception:
        if under_way is not None:
            await under_way  # what came before this error has an error of its own, or is registered
        raise
    except BaseException:
        if under_way is not None:
            under_way.cancel()
        raise
    if under_way is not None:
        stand += await under_way
    return stand


async def _registered(context: AppContext, task: Declaration, batch: Batch, sent: int) -> list[str]:
    registry = context.sessions.registry
    first, ids = _first_and_ids(batch)
    terms = context.terms_of(task, [first])
    with located(ids, sent):
        if isinstance(batch, AlikeRows):
            stand = await registry.submit_alike(batch, terms)
        else:
            stand = await registry.submit_many(batch, terms)
    await context.unserved.look(registry, first)
    return stand


def registered_blocking(context: AppContext, task: Declaration, batches: Iterable[Batch]) -> list[str]:
    """Do what ``registered`` does."""
    registry = context.sessions.blocking().registry  # refuses a thread with an event loop before anything is read
    stand: list[str] = []
    under_way: Callable[[], list[str]] | None = None
    try:
        for batch in batches:
            if under_way is not None:
                before, under_way = under_way, None
                stand += before()
            under_way = _begun(context, registry, task, batch, len(stand))
    except Exception:
        if under_way is not None:
            under_way()  # what came before this error has an error of its own, or is registered
        raise
    if under_way is not None:
        stand += under_way()
    return stand


def _begun(
    context: AppContext, registry: BlockingRegistry, task: Declaration, batch: Batch, sent: int
) -> Callable[[], list[str]]:
    """Send a batch; return what reads the answer."""
    first, ids = _first_and_ids(batch)
    terms = context.terms_of(task, [first])
    with located(ids, sent):
        if isinstance(batch, AlikeRows):
            answer = registry.begin(submit_alike, batch, terms)
        else:
            answer = registry.begin(submit_many, batch, terms)

    def stand() -> list[str]:
        with located(ids, sent):
            found = answer()
        context.unserved.look_blocking(registry, first)
        return found

    return stand


def _first_and_ids(batch: Batch) -> tuple[ProcessRegistration, Sequence[str]]:
    """Return a registration of a batch, as good as any for what they have in common, and the ids of all."""
    if isinstance(batch, AlikeRows):
        return batch.like, [each.process_id for each in batch.rows]
    return batch[0], [each.id for each in batch]
