"""The two faults. They wait for facts from the registry, never for the clock, so that they hit."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from demo.pool import Pool
from lash_redis import LocalProcess, ProcessRegistry, RecoveryDisposition
from lash_redis.app.process import Process

BOTH = {RecoveryDisposition.RERUNNABLE, RecoveryDisposition.OWNER_BOUND}
PATIENCE_S = 90.0


async def until(what: str, fact: Callable[[], Awaitable[bool]], every_s: float = 0.03) -> None:
    """Ask until ``fact`` holds.

    Raises:
        SystemExit: it never did.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await fact():  # noqa: ASYNC110 - the fact is in another OS process
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise SystemExit(f"gave up waiting until {what}") from None


async def kill_one_worker(registry: ProcessRegistry) -> int:
    """Kill a worker process that has started both kinds of work, wait until that is settled, and return its pid.

    It is stopped first, so that what the registry says of it still holds when it is killed.
    """
    victims: list[tuple[int, str]] = []

    async def found() -> bool:
        for holder in await registry.holders(0):
            liveness = holder.owner.liveness
            if holder.death is not None or not isinstance(liveness, LocalProcess):
                continue
            if await _kinds_started(registry, holder.digest) != BOTH:
                continue
            os.kill(liveness.pid, signal.SIGSTOP)
            # Twice, since a write that was on its way when it was stopped still arrives.
            if [await _kinds_started(registry, holder.digest) for _ in range(2)] == [BOTH, BOTH]:
                os.kill(liveness.pid, signal.SIGKILL)
                victims.append((liveness.pid, holder.digest))
                return True
            os.kill(liveness.pid, signal.SIGCONT)
        return False

    await until("one worker process has started both kinds of work", found)
    pid, digest = victims[0]

    async def settled() -> bool:
        return digest not in [holder.digest for holder in await registry.holders(0)]

    await until("what the killed worker process held is settled", settled)
    return pid


async def _kinds_started(registry: ProcessRegistry, owner: str) -> set[RecoveryDisposition]:
    page = await registry.page(0, f"of:{owner}")
    return {row.disposition for row in page.rows if row.phase == "started" and row.holder_digest == owner}


async def stop_and_start(pool: Pool, lasting: Process) -> int:
    """Stop the pool while a publication runs that lasts longer than the grace; start it again; return its exit code."""

    async def started() -> bool:
        return (await lasting.record()).phase == "started"

    await until("the long publication has started", started)
    code = await pool.stop()
    await pool.start()
    return code
