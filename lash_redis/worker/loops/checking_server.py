"""The check of the server: claims stop while it may lose leases or rows, and go on once it is safe again (rule 8.9)."""

from __future__ import annotations

from lash_redis.core.errors import UnsafeServerError
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.loops.claiming import Claiming


class Checking:
    """Reads and judges the server."""

    operation = "check"
    every_s = 60.0
    spread = 0.2

    def __init__(self, registry: ProcessRegistry, claiming: Claiming) -> None:
        self._registry = registry
        self._claiming = claiming

    async def step(self) -> None:
        """Check the server once.

        Raises:
            RegistryUnavailable: no answer.
        """
        try:
            await self._registry.check_server()
        except UnsafeServerError as error:
            self._claiming.pause(error)
        else:
            self._claiming.resume()
