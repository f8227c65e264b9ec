"""The two faults. They wait for facts in the registry and not for time, so that they always hit running work."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from demo.pool import Pool
from lash_redis import LocalProcess, ProcessRegistry, RecoveryDisposition
from lash_redis.app.process import Process
from lash_redis.registry.keys import owned_index

BOTH = {RecoveryDisposition.RERUNNABLE, RecoveryDisposition.OWNER_BOUND}
TIMEOUT_S = 90.0


async def until(what: str, fact: Callable[[], Awaitable[bool]], every_s: float = 0.03) -> None:
    """Wait until ``fact`` holds.

    Raises:
        SystemExit: it did not hold within 90 s.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while not await fact():  # noqa: ASYNC110 - the fact is in another OS process
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise SystemExit(f"gave up waiting until {what}") from None


async def kill_one_worker(registry: ProcessRegistry) -> int:
    """Kill a worker process that has started both kinds of work, wait until its work is settled, and return its pid.

    It is suspended first, so that the rows do not change between the check and the kill.
    """
    victims: list[tuple[int, str]] = []

    async def one_is_killed() -> bool:
        for holder in await registry.holders(0):
            liveness = holder.owner.liveness
            if holder.death is not None or not isinstance(liveness, LocalProcess):
                continue
            if await _kinds_started(registry, holder.digest) != BOTH:
                continue
            os.kill(liveness.pid, signal.SIGSTOP)
            # Checked twice, since a write that was on its way when the process was suspended still arrives.
            if [await _kinds_started(registry, holder.digest) for _ in range(2)] == [BOTH, BOTH]:
                os.kill(liveness.pid, signal.SIGKILL)
                victims.append((liveness.pid, holder.digest))
                return True
            os.kill(liveness.pid, signal.SIGCONT)
        return False

    await until("one worker process has started both kinds of work", one_is_killed)
    pid, digest = victims[0]

    async def settled() -> bool:
        return digest not in [holder.digest for holder in await registry.holders(0)]

    await until("what the killed worker process held is settled", settled)
    return pid


async def _kinds_started(registry: ProcessRegistry, owner: str) -> set[RecoveryDisposition]:
    page = await registry.page(0, owned_index(owner))
    return {row.disposition for row in page.rows if row.phase == "started" and row.holder_digest == owner}


async def stop_and_start(pool: Pool, lasting: Process) -> int:
    """Stop the pool during a publication that outlasts the grace; return its exit code after starting another one."""

    async def started() -> bool:
        return (await lasting.record()).phase == "started"

    await until("the long publication has started", started)
    code = await pool.stop()
    await pool.start()
    return code
