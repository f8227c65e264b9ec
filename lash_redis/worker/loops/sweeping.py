"""The sweep: one pass of recovery after another."""

from __future__ import annotations

from lash_redis.recovery.sweep import Sweep
from lash_redis.worker.identity import Identity


class Sweeping:
    """Makes one pass over every partition."""

    operation = "sweep"
    spread = 0.2

    def __init__(self, sweep: Sweep, identity: Identity, every_ms: int) -> None:
        self.every_s = every_ms / 1000
        self._sweep = sweep
        self._identity = identity

    async def step(self) -> None:
        """Make one pass.

        Raises:
            RegistryUnavailable: no answer; what was settled stands.
        """
        self._identity.check()
        await self._sweep.run_once()
