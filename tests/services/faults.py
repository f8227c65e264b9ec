"""What goes wrong between one registry and its server: an outage, lost requests and replies, late and repeated ones."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.scripts import Script
from lash_redis.registry.transport.connections import BlockingConnections
from lash_redis.registry.transport.transport import Transport


class Late:
    """An answer that is on its way for as long as a test likes."""

    def __init__(self) -> None:
        self.has_happened = False
        self._arrival = asyncio.Event()

    def arrive(self) -> None:
        """Let it arrive."""
        self._arrival.set()

    async def wait(self) -> None:
        """Wait for its arrival; what was asked for has happened."""
        self.has_happened = True
        await self._arrival.wait()


class Faults:
    """Stands in the one seam through which a registry (and the renewal thread made of it) reaches the server.

    Attributes:
        sent: how often each script reached the server.
        is_away: nothing reaches it.
        loses_renewals: everything but the renewals does.
    """

    def __init__(self, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: Counter[str] = Counter()
        self.is_away = False
        self.loses_renewals = False
        self._lost_requests: Counter[str] = Counter()
        self._lost_replies: Counter[str] = Counter()
        self._repeated: set[str] = set()
        self._late: dict[str, Late] = {}
        self._chance, self._share = random.Random(), 0.0
        self._run = registry.sender.transport.run
        monkeypatch.setattr(registry.sender.transport, "run", self._run_async)
        self._patch_blocking(registry, monkeypatch)

    def go_away(self) -> None:
        """Let nothing reach the server any more."""
        self.is_away = True

    def come_back(self) -> None:
        """Let everything reach the server again."""
        self.is_away = False

    def lose_requests(self, script: str, times: int = 1) -> None:
        """Lose the next calls of a script on their way to the server."""
        self._lost_requests[script] += times

    def lose_replies(self, script: str, times: int = 1) -> None:
        """Let the next calls of a script happen, and lose their answers."""
        self._lost_replies[script] += times

    def repeat(self, script: str) -> None:
        """Let every call of a script happen twice."""
        self._repeated.add(script)

    def lose_at_random(self, chance: random.Random, share: float) -> None:
        """Lose that share of all answers, as many requests, and let as many calls happen twice."""
        self._chance, self._share = chance, share

    def delay_reply(self, script: str) -> Late:
        """Let the next call of a script happen, and its answer arrive when the test lets it."""
        self._late[script] = Late()
        return self._late[script]

    async def _run_async(self, script: Script, header: str, args: Sequence[Any], *, shebang: bool) -> Any:
        name = script.name
        if self.is_away or _taken(self._lost_requests, name) or self._strikes():
            raise RegistryUnavailable(name, "a fault: the request is lost", maybe_applied=False)
        self.sent[name] += 1
        late = self._late.pop(name, None)
        reply = await self._run(script, header, args, shebang=shebang)
        if name in self._repeated or self._strikes():
            reply = await self._run(script, header, args, shebang=shebang)
        if late is not None:
            await late.wait()
        if _taken(self._lost_replies, name) or self._strikes():
            raise RegistryUnavailable(name, "a fault: the reply is lost", maybe_applied=True)
        return reply

    def _strikes(self) -> bool:
        return self._chance.random() < self._share

    def _patch_blocking(self, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
        run = Transport.run

        async def run_blocking(transport: Transport, script: Script, *rest: Any, **options: Any) -> Any:
            connections = transport.connections
            is_ours = isinstance(connections, BlockingConnections) and connections.address is registry.address
            if is_ours and (self.is_away or (self.loses_renewals and script.name == "renew_owned")):
                raise RegistryUnavailable(script.name, "a fault: the request is lost", maybe_applied=False)
            return await run(transport, script, *rest, **options)

        monkeypatch.setattr(Transport, "run", run_blocking)


def _taken(counter: Counter[str], name: str) -> bool:
    if counter[name] <= 0:
        return False
    counter[name] -= 1
    return True
