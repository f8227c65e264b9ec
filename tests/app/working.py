"""The calls of a worker, made by a test: claim, start, complete."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.process import BlockingProcess, Process
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Acquired, ProcessLease
from lash_redis.core.outcomes import Outcome
from tests.support import wait_until

SOMEBODY = LeaseOwner.opaque("somebody", "one-life")
TTL_MS = 30_000


async def begin(lash: Lash, process: Process | BlockingProcess, ttl_ms: int = TTL_MS) -> ProcessLease:
    """Claim and start a process."""
    claimed = await lash.registry.claim(process.id, SOMEBODY, ttl_ms)
    assert isinstance(claimed, Acquired)
    await lash.registry.start(claimed.lease)
    return claimed.lease


async def finish(lash: Lash, process: Process | BlockingProcess, outcome: Outcome) -> None:
    """Claim, start and complete a process."""
    await lash.registry.complete(await begin(lash, process), outcome)


async def until_subscribed(client: Any, namespace: str) -> None:
    """Wait until a client has subscribed in both partitions of a namespace."""

    async def is_subscribed() -> bool:
        return len(await client.pubsub_channels(f"{{lash:{namespace}:*}}:to:*")) == 2

    await wait_until(is_subscribed, "a client has subscribed in both partitions")


async def waited_too_long(process: Process[Any] | BlockingProcess[Any], timeout_s: float = 0.05) -> TimeoutError:
    """Wait for an outcome that does not come, in a thread if the handle blocks, and return the error.

    The wait is for longer and longer, until it is long enough for its first read: a machine may be busy.
    """
    wait: Any = process.outcome
    if isinstance(process, BlockingProcess):
        wait = functools.partial(asyncio.to_thread, wait)
    while True:
        try:
            with pytest.raises(TimeoutError) as raised:
                await wait(timeout=timeout_s)
        except RegistryUnavailable as error:
            if "was not read" not in str(error):
                raise
            timeout_s *= 2
        else:
            return raised.value
