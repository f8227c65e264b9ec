"""What is published in one partition, as a test hears it."""

from __future__ import annotations

from typing import Any

from lash_redis.registry.keys import channel
from tests.support import wait_until


class Subscriber:
    """Subscribes to the channels of several names in partition 0, and keeps what each received."""

    def __init__(self, backend: Any, namespace: str) -> None:
        self._client, self._namespace = backend.client_of(channel(namespace, 0, "")), namespace
        self._pubsub = self._client.pubsub()
        self._is_in_slot = backend.cluster is not None
        self._received: list[tuple[str, str]] = []

    async def subscribe(self, *names: str) -> None:
        """Subscribe to the channels of these names, and see each subscription confirmed."""
        for name in names:
            subscribe = self._pubsub.ssubscribe if self._is_in_slot else self._pubsub.subscribe
            await subscribe(channel(self._namespace, 0, name))
            await self._next("subscribe")

    async def _next(self, kind: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        async def has_come() -> bool:
            message = await self._pubsub.get_message(timeout=0.01)
            if message is not None:
                found.append(message)
            return bool(found) and found[-1]["type"] in (kind, f"s{kind}")

        await wait_until(has_come, f"a {kind} message comes")
        self._keep(found[:-1])
        return found[-1]

    def _keep(self, messages: list[dict[str, Any]]) -> None:
        for each in messages:
            if each["type"] in ("message", "smessage"):
                self._received.append(
                    (each["channel"].decode().rpartition(":to:")[2], each["data"].decode("utf-8", "surrogateescape"))
                )

    async def received(self) -> list[tuple[str, str]]:
        """Return the names and messages since the last call. A message to itself shows that no other is on its way."""
        await self.subscribe("me")
        publish = self._client.spublish if self._is_in_slot else self._client.publish
        await publish(channel(self._namespace, 0, "me"), "last")
        while ("me", "last") not in self._received:
            self._keep([await self._next("message")])
        received = [each for each in self._received if each[0] != "me"]
        self._received.clear()
        return received

    async def aclose(self) -> None:
        """End the subscriptions."""
        await self._pubsub.aclose()
        await self._client.aclose()
