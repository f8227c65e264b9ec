"""Listening on a cluster: one subscription for each node, with the channels of the partitions that the node serves.

A channel of a slot is heard only on the node that serves the slot. When a slot leaves a node, the node ends the
subscription to its channels. Each channel is then looked for anew; nodes that keep theirs are not disturbed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from lash_redis.core.timing import is_cancelled
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Ask, Cluster
from lash_redis.registry.transport.connections import finished

Channels: TypeAlias = dict[str, int]
_LOOK_S: Final = 1.0  # how soon a change is seen that no subscription noticed


async def at_all_nodes(
    cluster: Cluster[Address],
    channels: Channels,
    ask: Ask[Address],
    listen_at: Callable[[Address, Channels], Coroutine[Any, Any, None]],
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
    listening: dict[Address, tuple[Channels, asyncio.Task[None]]] = {}
    try:
        while not is_over():
            wanted = _by_node(channels, await cluster.nodes_of(channels, ask))
            for node, (own, task) in list(listening.items()):
                if task.done():
                    del listening[node]
                    task.result()  # raises what time does not cure
                elif wanted.get(node) != own:
                    del listening[node]
                    await _cancelled(task)
            for node, own in wanted.items():
                if node not in listening:
                    listening[node] = own, asyncio.create_task(listen_at(node, own))
            version, tasks = cluster.version, [task for _, task in listening.values()]
            while cluster.version == version and not is_over() and not any(task.done() for task in tasks):
                await _some_time(tasks)
                if sum(map(len, wanted.values())) < len(channels):
                    break
    finally:
        await _cancelled(*(task for _, task in listening.values()))


async def _some_time(tasks: list[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(_LOOK_S)


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
    listen_at: Callable[[Address, Channels, threading.Event], None],
    is_over: Callable[[], bool],
) -> None:
    """Do what ``at_all_nodes`` does, with a thread for each node; ``listen_at`` returns soon after its event is set."""
    listening: dict[Address, tuple[Channels, _Thread]] = {}
    changed = threading.Event()
    try:
        while not is_over():
            wanted = _by_node(channels, finished(cluster.nodes_of(channels, ask)))
            for node, (own, thread) in list(listening.items()):
                if not thread.is_alive() or wanted.get(node) != own:
                    del listening[node]
                    thread.end()
            for node, own in wanted.items():
                if node not in listening:
                    listening[node] = own, _Thread(listen_at, node, own, changed)
            version = cluster.version
            while cluster.version == version and not is_over():
                if changed.wait(_LOOK_S / 4) or sum(map(len, wanted.values())) < len(channels):
                    break
            changed.clear()
    finally:
        for _, thread in listening.values():
            thread.stopped.set()


class _Thread(threading.Thread):
    """Listens on one node, and says when it ends."""

    def __init__(
        self,
        listen_at: Callable[[Address, Channels, threading.Event], None],
        node: Address,
        own: Channels,
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
