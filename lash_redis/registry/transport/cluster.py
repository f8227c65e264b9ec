"""A Redis Cluster: its nodes, which of them serves a key, and what is learned when that changes.

Each node is an ``Address`` of its own, with a generation of its own. The map is read when it is first needed. It is
read anew after a node said that a slot has moved, and after one did not answer (decision 0020).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar

from lash_redis.core.forks import PerProcess
from lash_redis.core.timing import boottime_ms, random_fraction
from lash_redis.registry.transport.slots import Place, SlotMap, place_in_moved, slot_map_in, slot_of


class Node(Protocol):
    """What a cluster needs of the address of a node."""

    @property
    def host(self) -> str:
        """The host."""

    @property
    def place(self) -> Place:
        """Host and port."""

    @property
    def shown(self) -> str:
        """The same for people to read."""

    def at(self, host: str, port: int) -> Self:
        """Return the address of another node, which is reached as this one is."""

    def forget(self) -> None:
        """Use none of the present connections any more."""


_FIRST_PATIENCE_S: Final = 2.0
_REMEMBERED_MS: Final = 60_000

N = TypeVar("N", bound=Node)
Ask: TypeAlias = Callable[[N], Awaitable[Any]]


class Cluster(Generic[N]):
    """The nodes of one cluster, as far as they are known.

    Args:
        seeds: some of its nodes: one that answers is enough.
        remap: makes the place where we reach a node of the one that the cluster names, where these differ.

    Attributes:
        version: how often another node came to serve something.
    """

    def __init__(self, seeds: Sequence[N], remap: Callable[[Place], Place] | None = None) -> None:
        self._seeds = list(seeds)
        self._remap = remap
        self._nodes: dict[Place, N] = {}
        self._map = SlotMap([])
        self._is_doubtful = True
        self._silent: set[N] = set()
        self._rests_until_ms: dict[N, float] = {}
        self._watched_until_ms: dict[N, float] = {}
        self._silences: dict[N, tuple[int, float]] = {}
        self._knows: N | None = None  # the last that was named as the new primary of a slot: it knows of that
        self._reading = PerProcess(_Reading)
        self.version = 0

    async def node_of(self, key: str, ask: Ask[N]) -> N | None:
        """Return the node that serves a key; None if nobody does now. ``ask`` sends a node ``CLUSTER SLOTS``."""
        if self._is_doubtful:
            await self._read(ask)
        place = self._map.place_of(slot_of(key))
        if place is None:
            self._is_doubtful = True
            return None
        return self._at(place)

    async def nodes_of(self, keys: Iterable[str], ask: Ask[N]) -> dict[N, list[str]]:
        """Return the nodes that serve these keys, each with its own; keys that nobody serves are left out."""
        found: dict[N, list[str]] = {}
        for key in keys:
            if (node := await self.node_of(key, ask)) is not None:
                found.setdefault(node, []).append(key)
        return found

    def follow(self, moved: str, asked: N) -> None:
        """Take in that a slot has moved, as ``asked`` answered; the whole map is read anew besides."""
        slot, place = place_in_moved(moved, asked.host)
        self._is_doubtful, self._knows = True, self._at(place)
        self._take(self._map.moved(slot, place))

    def doubt(self, node: N) -> None:
        """Read the map anew before the next call, and not from this node, which did not answer."""
        self._silent.add(node)
        self._is_doubtful = True

    def look_again(self) -> None:
        """Read the map anew before the next call."""
        self._is_doubtful = True

    def let_rest(self, node: N, ms: float) -> None:
        """Ask a silent node nothing for so long: who asks all partitions in turn would wait for each that it has."""
        self._rests_until_ms[node] = boottime_ms() + ms

    def was_silent(self, node: N) -> None:
        """Note that a node was silent for as long as it might be; it gets twice as long for the next minute."""
        self._silences[node] = self._times_silent(node) + 1, boottime_ms()

    def patience_s(self, node: N) -> float:
        """Return how long who asks all partitions in turn waits for a node, s."""
        return float(_FIRST_PATIENCE_S * 2 ** self._times_silent(node))

    def _times_silent(self, node: N) -> int:
        times, at_ms = self._silences.get(node, (0, 0.0))
        return times if boottime_ms() - at_ms < _REMEMBERED_MS else 0

    def watch(self, node: N, ms: float) -> None:
        """Have nobody who asks all partitions in turn ask a node for so long: another question is under way."""
        self._watched_until_ms[node] = boottime_ms() + ms

    def is_watched(self, node: N) -> bool:
        """Return whether another question to a node is under way."""
        return boottime_ms() < self._watched_until_ms.get(node, 0)

    def serves(self, node: N) -> bool:
        """Return whether a node serves anything, as far as is known."""
        return any(self._nodes.get(place) is node for place in self._map.places())

    def rests(self, node: N) -> bool:
        """Return whether a node was silent a moment ago."""
        until_ms = self._rests_until_ms.get(node)
        if until_ms is None or boottime_ms() < until_ms:
            return until_ms is not None
        self._rests_until_ms.pop(node, None)
        return False

    def forget(self) -> None:
        """Use none of the present connections any more, and read the map anew."""
        for node in (*self._seeds, *self._nodes.values()):
            node.forget()
        self._is_doubtful = True

    @property
    def shown(self) -> str:
        """The nodes that were named, for people to read."""
        return ",".join(seed.shown for seed in self._seeds)

    @property
    def first(self) -> N:
        """The first node that was named: how connections are made."""
        return self._seeds[0]

    async def _read(self, ask: Ask[N]) -> None:
        """Read the map; whoever finds that another task or thread is reading it uses the one that there is."""
        reading = self._reading.get()
        if reading.is_under_way and self._map:
            return
        reading.is_under_way, self._is_doubtful = True, False
        try:
            self._take(await self._read_from_any(ask))
        except BaseException as error:
            self._is_doubtful = True
            if not self._map or not isinstance(error, Exception):
                raise
        finally:
            reading.is_under_way = False

    async def _read_from_any(self, ask: Ask[N]) -> SlotMap:
        nodes = [self._at(place) for place in self._map.places()]
        nodes += [seed for seed in self._seeds if seed.place not in {node.place for node in nodes}]
        nodes.sort(key=lambda node: (node in self._silent, node is not self._knows, random_fraction()))
        failure: Exception | None = None
        for node in nodes:
            try:
                found = slot_map_in(await ask(node), node.host)
            except Exception as error:  # noqa: BLE001 - the next node may answer
                self._silent.add(node)
                failure = error
            else:
                self._silent.discard(node)
                if found:
                    return found
        raise failure or ConnectionError("no node of the cluster serves any slot")

    def _take(self, found: SlotMap) -> None:
        if found != self._map:
            self.version += 1
        self._map = found

    def _at(self, place: Place) -> N:
        node = self._nodes.get(place)
        if node is None:
            reached = place if self._remap is None else self._remap(place)
            node = self._nodes.setdefault(place, self.first.at(*reached))
        return node


class _Reading:
    """Whether the map is being read in this OS process."""

    def __init__(self) -> None:
        self.is_under_way = False
