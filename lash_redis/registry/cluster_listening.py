"""Listening on a cluster: one subscription for each node, with the channels of the partitions that the node serves.

A channel of a slot is heard only on the node that serves the slot. When a slot leaves a node, the node ends the
subscription to its channels. These are then looked for anew, and the node that has them by now is asked for them on the
connection that there is. Whatever else is heard on either node goes on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeAlias

from lash_redis.core.timing import is_cancelled
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Ask, Cluster
from lash_redis.registry.transport.finishing import finished

Channels: TypeAlias = dict[str, int]
_LOOK_S: Final = 1.0  # how soon a change is seen that no subscription noticed


class NodeChannels:
    """The channels that are to be heard on one node, as slots come and go.

    Args:
        wanted: the channels.
        on_lost: called when the node says that it has one of them no more.

    Attributes:
        ask: subscribes to those that were not asked for yet; None while there is no connection.
    """

    def __init__(self, wanted: Channels, on_lost: Callable[[], None] = lambda: None) -> None:
        self.wanted = wanted
        self.ask: Callable[[], Awaitable[None]] | None = None
        self._on_lost = on_lost

    def lost(self) -> None:
        """Note that the node has lost a slot of theirs."""
        self._on_lost()

    async def change(self, wanted: Channels) -> None:
        """Hear these from now on."""
        self.wanted = wanted
        if self.ask is not None:
            with suppress(Exception):  # whoever receives on this connection meets the same
                await self.ask()


async def at_all_nodes(
    cluster: Cluster[Address],
    channels: Channels,
    ask: Ask[Address],
    listen_at: Callable[[Address, NodeChannels], Coroutine[Any, Any, None]],
    is_over: Callable[[], bool],
) -> None:
    """Listen on each node that serves one of these channels, until it is over.

    Args:
        cluster: says which node serves which channel.
        channels: all of them, and the partition of each.
        ask: sends a node ``CLUSTER SLOTS``.
        listen_at: listens on one node until something ended that, and waits before the next try if it should.
        is_over: another namespace or server may have to be opened.
    """
    listening: dict[Address, tuple[NodeChannels, asyncio.Task[None]]] = {}
    changed = asyncio.Event()

    def lost() -> None:
        cluster.look_again()
        changed.set()

    def ended(_: asyncio.Task[None]) -> None:
        changed.set()

    try:
        while not is_over():
            changed.clear()
            version = cluster.version
            wanted = _by_node(channels, await cluster.nodes_of(channels, ask))
            for node, (own, task) in list(listening.items()):
                if task.done():
                    del listening[node]
                    task.result()  # raises what time does not cure
                elif node not in wanted:
                    del listening[node]
                    await _cancelled(task)
                else:
                    await own.change(wanted[node])
            for node, names in wanted.items():
                if node not in listening:
                    own = NodeChannels(names, lost)
                    listening[node] = own, asyncio.create_task(listen_at(node, own))
                    listening[node][1].add_done_callback(ended)
            has_all = sum(map(len, wanted.values())) == len(channels)
            while cluster.version == version and not is_over() and not await _is_set(changed) and has_all:
                pass
    finally:
        await _cancelled(*(task for _, task in listening.values()))


async def _is_set(event: asyncio.Event) -> bool:
    """Wait for an event for some time; return whether it is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), _LOOK_S)
    return event.is_set()


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until all have ended, in whatever way."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()
    if is_cancelled():
        raise asyncio.CancelledError


def at_all_nodes_blocking(
    cluster: Cluster[Address],
    channels: Channels,
    ask: Ask[Address],
    listen_at: Callable[[Address, NodeChannels, threading.Event], None],
    is_over: Callable[[], bool],
) -> None:
    """Do what ``at_all_nodes`` does, with a thread for each node; ``listen_at`` returns soon after its event is set."""
    listening: dict[Address, tuple[NodeChannels, _Thread]] = {}
    changed = threading.Event()

    def lost() -> None:
        cluster.look_again()
        changed.set()

    try:
        while not is_over():
            changed.clear()
            version = cluster.version
            wanted = _by_node(channels, finished(cluster.nodes_of(channels, ask)))
            for node, (own, thread) in list(listening.items()):
                if not thread.is_alive() or node not in wanted:
                    del listening[node]
                    thread.end()
                else:
                    own.wanted = wanted[node]  # its thread looks after each tick
            for node, names in wanted.items():
                if node not in listening:
                    own = NodeChannels(names, lost)
                    listening[node] = own, _Thread(listen_at, node, own, changed)
            has_all = sum(map(len, wanted.values())) == len(channels)
            while cluster.version == version and not is_over() and not changed.wait(_LOOK_S / 4) and has_all:
                pass
    finally:
        for _, thread in listening.values():
            thread.stopped.set()


class _Thread(threading.Thread):
    """Listens on one node, and says when it ends."""

    def __init__(
        self,
        listen_at: Callable[[Address, NodeChannels, threading.Event], None],
        node: Address,
        own: NodeChannels,
        changed: threading.Event,
    ) -> None:
        super().__init__(name="lash-redis-node-listener", daemon=True)
        self.stopped = threading.Event()
        self._listen = (listen_at, node, own)
        self._changed = changed
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        listen_at, node, own = self._listen
        try:
            listen_at(node, own, self.stopped)
        except Exception as error:  # noqa: BLE001 - raised in the thread that started this one
            self._error = error
        self._changed.set()

    def end(self) -> None:
        """Let it end, and raise what time does not cure if that has ended it."""
        self.stopped.set()
        self.join()
        if self._error is not None:
            raise self._error


def _by_node(channels: Channels, nodes: dict[Address, list[str]]) -> dict[Address, Channels]:
    return {node: {name: channels[name] for name in names} for node, names in nodes.items()}
