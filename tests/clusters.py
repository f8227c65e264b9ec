"""Redis Clusters of our own for tests and benchmarks: several servers on ports of loopback, that share the slots."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import redis
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.crc import key_slot

from tests.servers import Server
from tests.support import block_until
from tests.tls import Certificate

T = TypeVar("T")
SLOTS: Final = 16_384
_TRIES: Final = 5  # a port that was free may be another's a moment later


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody uses now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def on_free_ports(make: Callable[[], T]) -> T:
    """Make a server on ports that are free; do it again if another took one in between."""
    for left in reversed(range(_TRIES)):
        try:
            return make()
        except AssertionError:
            if not left:
                raise
    raise AssertionError


class OnPort(Server):
    """A server on a port of loopback, over TLS alone if it is given a certificate, and on a socket."""

    def __init__(self, kind: str, port: int, *, tls: Certificate | None = None, **settings: str) -> None:
        self.port = port
        on_port = {"port": str(port)} if tls is None else {"port": "0", "tls_port": str(port)} | tls.settings
        super().__init__(kind, bind="127.0.0.1", **on_port, **settings)

    def ask(self, *command: Any) -> Any:
        """Send one command to this node itself, and return the answer as text."""
        with redis.Redis(unix_socket_path=str(self.socket), decode_responses=True) as client:
            return client.execute_command(*command)

    def ask_lines(self, command: str) -> list[str]:
        """Return the lines of an answer that has some."""
        with redis.Redis(unix_socket_path=str(self.socket), decode_responses=True) as client:
            client.response_callbacks.clear()
            answer: str = client.execute_command(*command.split())
            return answer.splitlines()

    @property
    def address(self) -> tuple[str, int]:
        """Its host and port."""
        return "127.0.0.1", self.port

    def asked(self, command: str, field: str) -> str:
        """Return one field of an answer that has lines of ``field:value``."""
        answer: Any = self.ask(*command.split())
        if isinstance(answer, dict):
            return str(answer[field])
        lines: str = answer
        found: dict[str, str] = dict(line.split(":", 1) for line in lines.splitlines() if ":" in line)
        return found[field]


class Node(OnPort):
    """One server of a cluster."""

    def __init__(self, kind: str, tls: Certificate | None, **settings: str) -> None:
        port, self.bus_port = free_ports(2)
        chosen = {"cluster_enabled": "yes", "cluster_port": str(self.bus_port)} | settings
        super().__init__(kind, port, tls=tls, **(chosen if tls is None else {"tls_cluster": "yes"} | chosen))
        self.id = str(self.ask("CLUSTER", "MYID"))


class RawClient(RedisCluster):
    """redis-py's client, whose ``scan_iter`` walks every primary."""

    async def scan_iter(  # type: ignore[override]
        self, match: str | None = None, count: int | None = None, **_: Any
    ) -> AsyncIterator[bytes]:
        """Yield the names of keys, whatever node has them."""
        await self.initialize()
        for node in self.get_primaries():
            cursor: Any = 0
            while True:
                answer: Any = await self.scan(cursor, match=match, count=count, target_nodes=node)
                cursors, names = answer
                for name in names:
                    yield name
                cursor = cursors[node.name]
                if not cursor:
                    break


class Cluster:
    """A running cluster.

    Args:
        kind: of its servers, one of ``tests.servers.KINDS``.
        nodes: how many primaries; the slots are shared evenly.
        replicas: how many replicas each has.
        tls: the certificate, if all talk over TLS.
        settings: of every server, as for ``Server``.

    Attributes:
        primaries: those that were primaries at the start, each with an even share of the slots.
        replicas: those that were replicas, in the order of their primaries.
    """

    def __init__(
        self,
        kind: str = "valkey",
        nodes: int = 3,
        replicas: int = 0,
        *,
        tls: Certificate | None = None,
        **settings: str,
    ) -> None:
        self.kind = kind
        self._scheme = "redis" if tls is None else "rediss"
        self.primaries: list[Node] = []
        self.replicas: list[Node] = []
        chosen = {"cluster_require_full_coverage": "no"} | settings
        try:
            for _ in range(nodes):
                self.primaries.append(on_free_ports(lambda: Node(kind, tls, **chosen)))
            for _ in range(nodes * replicas):
                self.replicas.append(on_free_ports(lambda: Node(kind, tls, **chosen)))
            self._form(replicas)
        except BaseException:
            self.stop()
            raise

    @property
    def nodes(self) -> list[Node]:
        """All servers."""
        return [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{self._scheme}+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def _form(self, replicas: int) -> None:
        first, count = self.primaries[0], len(self.primaries)
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < count:
                begins, ends = SLOTS * number // count, SLOTS * (number + 1) // count
                node.ask("CLUSTER", "ADDSLOTSRANGE", begins, ends - 1)
            if node is not first:
                node.ask("CLUSTER", "MEET", *first.address, first.bus_port)
        block_until(lambda: all(self._knows_all(node) for node in self.nodes), "every node knows the others")
        for number, node in enumerate(self.replicas):
            node.ask("CLUSTER", "REPLICATE", self.primaries[number // replicas].id)
        for node in self.replicas:
            block_until(lambda node=node: node.asked("INFO replication", "master_link_status") == "up", "it replicates")  # type: ignore[misc]
        self.wait_until_ok()

    def _knows_all(self, node: Node) -> bool:
        lines = node.ask("CLUSTER", "NODES")
        known = lines if isinstance(lines, dict) else dict.fromkeys(lines.splitlines())
        return len(known) == len(self.nodes) and node.asked("CLUSTER INFO", "cluster_slots_ok") == str(SLOTS)

    def wait_until_ok(self, *of: Node) -> None:
        """Wait until these nodes, or all, say that the cluster can serve."""
        for node in of or self.nodes:
            block_until(
                lambda node=node: node.asked("CLUSTER INFO", "cluster_state") == "ok",  # type: ignore[misc]
                "the cluster can serve",
            )

    def owner(self, key_or_slot: str | int) -> Node:
        """Return the node that now says of itself that it serves a slot, or the slot of a key."""
        slot = key_or_slot if isinstance(key_or_slot, int) else key_slot(key_or_slot.encode())
        found: list[Node] = []

        def serves() -> bool:
            found[:] = [node for node in self.nodes if node.is_running and _serves(node, slot)]
            return len(found) == 1

        block_until(serves, f"one node says that it serves slot {slot}")
        return found[0]

    def move(self, slot: int, to: Node, at_a_time: int = 100) -> None:
        """Move a slot by its keys, some at a time, as every release can: the slot is migrating meanwhile."""
        with self.moving(slot, to) as of:
            _move_keys(of, slot, to, at_a_time)

    @contextmanager
    def moving(self, slot: int, to: Node) -> Iterator[Node]:
        """Let a slot be in the middle of a move, and give it to ``to`` in the end. Yield the node that has it."""
        of = self.owner(slot)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", of.id)
        of.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
        yield of
        _move_keys(of, slot, to)
        for node in (to, of, *(each for each in self.primaries if each not in (to, of))):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", to.id)

    def move_at_once(self, slot: int, to: Node) -> None:
        """Move a slot as a whole, as Valkey 9 can; key by key on a server that cannot."""
        if self.kind != "valkey":
            self.move(slot, to)
            return
        of = self.owner(slot)
        of.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.id)
        block_until(lambda: self.owner(slot) is to, f"slot {slot} has moved")

    def client(self) -> RawClient:
        """Return a new redis-py client of the cluster for an event loop; whoever asks closes it."""
        return RawClient(startup_nodes=[ClusterNode(*node.address) for node in self.primaries])

    def stop(self) -> None:
        """End all servers and delete their folders."""
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _serves(node: Node, slot: int) -> bool:
    """Whether a node says of itself that it serves a slot."""
    return any(
        begins <= slot <= ends
        for begins, ends, primary, *_ in _raw_slots(node)
        if (primary[2].decode() if len(primary) > 2 else "") == node.id
    )


def _raw_slots(node: Node) -> list[Any]:
    with redis.Redis(unix_socket_path=str(node.socket)) as client:
        answer: list[Any] = client.execute_command("CLUSTER", "SLOTS")
        return answer


def _move_keys(of: Node, slot: int, to: Node, at_a_time: int = 100) -> None:
    while keys := of.ask("CLUSTER", "GETKEYSINSLOT", slot, at_a_time):
        of.ask("MIGRATE", *to.address, "", 0, 10_000, "KEYS", *keys)


def start_cluster(
    nodes: int = 3, replicas: int = 0, kind: str = "valkey", tls: Certificate | None = None, **settings: str
) -> Cluster:
    """Start a cluster; whoever asks stops it."""
    return Cluster(kind, nodes, replicas, tls=tls, **settings)
