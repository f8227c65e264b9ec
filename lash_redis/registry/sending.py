"""Sending calls from an event loop: the namespace opened once, a lost answer asked for again, batches put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from lash_redis.core.checks import MAX_PAYLOAD_BYTES, checked_int, checked_partitions
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.timing import backoff, jittered, sleep
from lash_redis.registry.call import Call
from lash_redis.registry.calls import Calls
from lash_redis.registry.connection import DEFAULT_TIMEOUT_S, Address, AsyncTransport
from lash_redis.registry.opening import opening
from lash_redis.registry.scripts import load_all
from lash_redis.registry.server import ServerInfo

T = TypeVar("T")

ATTEMPTS = 3


class Sender:
    """One namespace on one server, and how calls reach it."""

    def __init__(
        self,
        client: Any,
        namespace: str = "lash",
        partitions: int | None = 1,
        *,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        allow_unsafe_server: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.adopts = partitions is None
        count = 1 if partitions is None else checked_partitions(partitions)
        checked_int("max_payload_bytes", max_payload_bytes, at_least=1, at_most=512 << 20)
        self.calls = Calls(namespace, count, max_payload_bytes)
        self.address = Address(client, timeout_s)
        self.transport = AsyncTransport(self.address)
        self.server: ServerInfo | None = None
        self.allow_unsafe_server = allow_unsafe_server
        self._opening: asyncio.Lock | None = None

    @property
    def namespace(self) -> str:
        """The namespace's name."""
        return self.calls.namespace

    @property
    def partitions(self) -> int:
        """How many partitions the namespace has (with ``partitions=None`` known once it is open)."""
        return self.calls.partitions

    async def open(self) -> ServerInfo:
        """Check the server and open the namespace, once; return what is known of the server."""
        if self.server is not None and self.calls.uuid:
            return self.server
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self.server is None or not self.calls.uuid:
                self.server = await self._patiently(self.check_server, ATTEMPTS)
                steps = opening(self.calls, adopt=self.adopts)
                call = next(steps)
                try:
                    while True:
                        call = steps.send(await self._sent(call, "calls", ATTEMPTS))
                except StopIteration:
                    pass
            return self.server

    async def check_server(self) -> ServerInfo:
        """Read and judge the server, now.

        Raises:
            UnsafeServerError: it evicts keys, or is too old.
        """
        return await self.transport.facts(allow_unsafe=self.allow_unsafe_server)

    async def send(self, call: Call[T], *, via: str = "calls", attempts: int = ATTEMPTS) -> T:
        """Send one call, again if no answer came, and return what it answered."""
        if self.server is None or not self.calls.uuid:
            await self.open()
        return await self._sent(call, via, attempts)

    async def answer_of(self, steps: Generator[Call[Any], Any, T]) -> T:
        """Send the calls that a generator yields, give it their answers, and return its value."""
        await self.open()
        answer = None
        try:
            while True:
                answer = await self.send(steps.send(answer))
        except StopIteration as end:
            value: T = end.value
            return value

    async def _sent(self, call: Call[T], via: str, attempts: int) -> T:
        script, prefix = load_all()[call.script], self.calls.prefix(call.partition)
        shebang = self.server is not None and self.server.takes_shebang

        async def once() -> list[Any]:
            return await self.transport.run(via, script, prefix, call.args, shebang=shebang)

        return call.decode(await self._patiently(once, attempts))

    async def _patiently(self, once: Callable[[], Any], attempts: int) -> Any:
        maybe_applied = False
        for failures in range(1, attempts + 1):
            try:
                return await once()
            except RegistryUnavailable as error:
                maybe_applied = error.maybe_applied = maybe_applied or error.maybe_applied
                if failures == attempts:
                    raise
            await sleep(jittered(backoff(failures, 0.05, 1.0), 0.2))
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close our own connections; the client that was handed to us is left as it is."""
        await self.transport.aclose()

    async def send_many(  # noqa: PLR0917 - ours alone
        self,
        items: Sequence[Any],
        id_of: Callable[[Any], str],
        builder: Callable[[int, Sequence[Any]], Call[list[T]]],
        size: int,
        via: str,
        attempts: int,
    ) -> list[T]:
        """Send items in batches of one partition each; return the answers in the items' order."""
        answers: list[Any] = [None] * len(items)
        for batch in self.calls.batches(items, id_of, size):
            answered = await self.send(builder(batch.partition, batch.items), via=via, attempts=attempts)
            for place, answer in zip(batch.places, answered, strict=True):
                answers[place] = answer
        return answers
