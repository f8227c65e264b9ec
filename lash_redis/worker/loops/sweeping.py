"""The sweep: one pass of recovery after another."""

from __future__ import annotations

from lash_redis.recovery.sweep import Sweep


class Sweeping:
    """Makes one pass over every partition."""

    operation = "sweep"
    spread = 0.2

    def __init__(self, sweep: Sweep, every_ms: int) -> None:
        self.every_s = every_ms / 1000
        self._sweep = sweep

    async def step(self) -> None:
        """Make one pass.

        Raises:
            RegistryUnavailable: no answer; what was settled stands.
        """
        await self._sweep.run_once()
