"""The kill. It waits for facts in the registry and not for time, so that it always hits running work."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from demo import ledger
from demo.tasks import measure, publish
from lash_redis import LocalProcess, ProcessRegistry
from lash_redis.app.process import Process
from lash_redis.core.lanes import lane_parts
from lash_redis.registry.keys import owned_index

BOTH = {measure.name, publish.name}
TIMEOUT_S = 90.0


async def until(what: str, fact: Callable[[], Awaitable[bool]], every_s: float = 0.02) -> None:
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


async def kill_one_worker(registry: ProcessRegistry, lasting: Process) -> int:
    """Kill the worker process of a publication, once it measures too, wait until its work is settled; return its pid.

    It is suspended first, so that neither the rows nor the ledger change between the check and the kill.
    """
    victims: list[tuple[int, str]] = []

    async def has_both(owner: str) -> bool:
        page = await registry.page(0, owned_index(owner))
        started = [row for row in page.rows if row.phase == "started" and row.holder_digest == owner]
        tasks = {lane_parts(row.lane)[1] for row in started}
        return tasks == BOTH and lasting.id in [row.process_id for row in started]

    async def one_is_killed() -> bool:
        for holder in await registry.holders(0):
            liveness = holder.owner.liveness
            if holder.death is not None or not isinstance(liveness, LocalProcess):
                continue
            if not await has_both(holder.digest):
                continue
            await _suspend(liveness.pid)
            # Checked twice, since a write that was on its way when the process was suspended still arrives.
            if await has_both(holder.digest) and await has_both(holder.digest):
                ledger.write("killed", "SIGKILL", liveness.pid)
                os.kill(liveness.pid, signal.SIGKILL)
                victims.append((liveness.pid, holder.digest))
                return True
            os.kill(liveness.pid, signal.SIGCONT)
        return False

    await until("the worker process of the long publication measures too", one_is_killed)
    pid, digest = victims[0]

    async def settled() -> bool:
        return digest not in [holder.digest for holder in await registry.holders(0)]

    await until("what the killed worker process held is settled", settled)
    return pid


async def _suspend(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)

    async def is_suspended() -> bool:
        return _state(pid) == {"T"}

    await until("the worker process is suspended", is_suspended)


def _state(pid: int) -> set[str]:
    """Return the states of the threads of an OS process; none if it cannot be told."""
    try:
        threads = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # a thread has just ended
        return set()
    return {each.rpartition(")")[2].split()[0] for each in threads}
