"""One script sent, and the server inspected: replies as they come, redis-py's errors as ours."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

from lash_redis.core.errors import LashError, RegistryUnavailable, SettingsError
from lash_redis.core.events import RegistryBadAnswer
from lash_redis.core.subscribers import emit
from lash_redis.registry.calls.proving import Proof, remedy
from lash_redis.registry.scripts import Function, Script, function_of
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.cluster import Cluster
from lash_redis.registry.transport.cluster_calls import ClusterCall, Keys, is_in_slots
from lash_redis.registry.transport.connections import Connections
from lash_redis.registry.transport.errors import Missing, missing_in, reply_of, translated, unwrapped
from lash_redis.registry.transport.replies import Meaning, text_of
from lash_redis.registry.transport.rights import Rights
from lash_redis.registry.transport.server import (
    FAKE_SERVER,
    Memory,
    ServerInfo,
    fullest,
    is_of_cluster,
    judged,
    memory_in,
    of_all,
)


class Transport:
    """The only way to the server for one registry. ``run`` is where tests lose requests and replies.

    Args:
        connections: to one server.
        namespace: the name of the one namespace that is asked about there.

    Attributes:
        is_opening: the namespace is not open yet, so that what the server refuses is a setting.
        to_read: nothing was written yet, and nothing will be as far as is known.
        takes_functions: as far as is known, the server has functions, and its user may load and call them.
    """

    def __init__(self, connections: Connections, namespace: str) -> None:
        self.connections = connections
        self.is_opening = True
        self.to_read = False
        self.takes_functions = True
        self._namespace = namespace
        self._rights = Rights()

    async def run(self, script: Script, header: str, args: Sequence[Any], *, shebang: bool) -> list[Any]:
        """Run one transition in one partition: as a function, or as a script where the server takes no functions.

        Raises:
            RegistryUnavailable: the server did not answer, or cannot do it now.
            SettingsError: it refuses, and the namespace is being opened.
        """
        if (cluster := self.connections.address.cluster) is not None:
            return await self._run_in(cluster, script, header, args)
        generation = self.connections.address.generation
        try:
            return await self._run_at(self.connections, script, (1, header), args, shebang=shebang)
        except Exception as error:  # redis-py meets a reply that it cannot take apart with a ValueError
            reads = script.flags == "no-writes"
            raise self.translated(script.name, error, generation, reads=reads) from error

    def _run_at(
        self, there: Connections, script: Script, keys: Keys, args: Sequence[Any], *, shebang: bool
    ) -> Awaitable[list[Any]]:
        if shebang and self.takes_functions:
            return self._run_function(there, script, keys, args)
        return self._run_script(there, script, keys, args, shebang=shebang)

    async def _run_function(self, there: Connections, script: Script, keys: Keys, args: Sequence[Any]) -> list[Any]:
        """Call its function; load the library if the server does not have it. If it takes none, run the script."""
        kind, function = script.connections, function_of(script.name, in_slots=is_in_slots(keys))
        lacks = None
        for was_loaded in (False, True):
            try:
                return await there.call(kind, "FCALL", function.name, *keys, *args)  # type: ignore[no-any-return]
            except Exception as error:
                lacks = missing_in(error)
                if lacks is None:
                    raise
            if was_loaded or lacks is not Missing.FUNCTION:
                break  # it was flushed in between, or another server answers by now; or there are none
            if (lacks := await self._load(there, kind, function)) is not None:
                break
        self.takes_functions = lacks is not Missing.FUNCTIONS
        return await self._run_script(there, script, keys, args, shebang=True)

    async def _load(self, there: Connections, kind: str, function: Function) -> Missing | None:
        """Load the library of a function; return what hinders it, such as a full server: a script runs all the same."""
        from redis.exceptions import ResponseError

        try:
            await there.call(kind, "FUNCTION", "LOAD", "REPLACE", function.library)
        except ResponseError as error:
            return missing_in(error) or Missing.FUNCTION
        return None

    async def _run_script(
        self, there: Connections, script: Script, keys: Keys, args: Sequence[Any], *, shebang: bool
    ) -> list[Any]:
        """Run it by its SHA; send the source if the server does not have it (rule 8.11)."""
        kind, (sha, source) = script.connections, script.variant(shebang=shebang, in_slots=is_in_slots(keys))
        try:
            return await there.call(kind, "EVALSHA", sha, *keys, *args)  # type: ignore[no-any-return]
        except Exception as error:
            if missing_in(error) is not Missing.SCRIPT:
                raise
        return await there.call(kind, "EVAL", source, *keys, *args)  # type: ignore[no-any-return]

    async def _run_in(self, cluster: Cluster[Address], script: Script, header: str, args: Sequence[Any]) -> list[Any]:
        """Run one transition on the node of a cluster that serves the partition, wherever that is by now.

        A second key is named that never exists. While a slot moves key by key, a node that has one key of a call and
        not the other refuses the call whole; else a script would miss what has moved, in its middle (decision 0020).
        """
        reads, call = script.flags == "no-writes", ClusterCall(self.connections, script.connections)
        keys = (2, header, f"{header}:none")
        while True:
            node = await self._node_of(cluster, script.name, header, reads=reads)
            call.sends(cluster, node, script.name, reads=reads)
            if not self._rights.are_proven(node):
                await self._prove_at(node, script.name, reads=reads)
            generation = node.generation
            try:
                sent = self._run_at(self.connections.at(node), script, keys, args, shebang=True)
                return await call.answer(cluster, node, sent, script.name, reads=reads)
            except RegistryUnavailable:
                raise
            except Exception as error:
                if await call.follows(cluster, node, error):
                    continue
                call.let_rest(cluster, node, error)
                moving = call.moving(node, error, script.name, reads=reads)
                raise moving or self.translated(script.name, error, generation, reads=reads, node=node) from error

    async def _node_of(self, cluster: Cluster[Address], operation: str, header: str, *, reads: bool) -> Address:
        generation = self.connections.address.generation
        try:
            node = await cluster.node_of(header, self.slots)
        except Exception as error:
            raise self.translated(operation, error, generation, reads=True) from error
        if node is None:
            text = f"no node of the cluster {cluster.shown} serves the slot of {header} now"
            raise RegistryUnavailable(operation, text, maybe_applied=False, reads=reads)
        return node

    async def slots(self, node: Address) -> Any:
        """Ask a node of a cluster who serves which slots."""
        return await self.connections.at(node).execute("calls", "CLUSTER", "SLOTS")

    async def _carriers(self, operation: str, headers: Sequence[str]) -> list[Connections]:
        """Return the connections to each node that has one of these partitions."""
        if (cluster := self.connections.address.cluster) is None:
            return [self.connections]
        nodes = [await self._node_of(cluster, operation, header, reads=True) for header in headers]
        return [self.connections.at(node) for node in dict.fromkeys(nodes)]

    async def server_info(self, headers: Sequence[str], *, allow_unsafe: bool) -> ServerInfo:
        """Read and judge what the server, or each node with one of these partitions, says of itself.

        A fakeredis server is not asked, since it has no ``INFO``.

        Raises:
            UnsafeServerError: it evicts keys, is too old, or is of a kind that is not supported.
            RegistryUnavailable: the server did not answer, or cannot do it now.
            SettingsError: it refuses, and the namespace is being opened.
        """
        address = self.connections.address
        if address.is_fake:
            return FAKE_SERVER
        if address.cluster is None and is_of_cluster(
            info := await self._asked(self.connections, "open", "calls", "INFO")
        ):
            address.become_cluster()
        elif address.cluster is None:
            return await self._judged(self.connections, info, allow_unsafe=allow_unsafe)
        found = []
        for carrier in await self._carriers("open", headers):
            info = await self._asked(carrier, "open", "calls", "INFO")
            found.append(await self._judged(carrier, info, allow_unsafe=allow_unsafe))
        return of_all(found)

    async def _judged(self, there: Connections, info: Any, *, allow_unsafe: bool) -> ServerInfo:
        import redis

        generation = there.address.generation
        try:
            appendfsync = (await there.execute("calls", "CONFIG GET", "appendfsync")).get("appendfsync")
        except redis.ResponseError:
            appendfsync = None
        except Exception as error:
            raise self.translated("open", error, generation, reads=True, node=there.address) from error
        return judged(info, appendfsync, allow_unsafe=allow_unsafe)

    async def memory(self, headers: Sequence[str]) -> Memory | None:
        """Read how much memory the server uses; None if it has no limit, or is a fakeredis one.

        Of several nodes with these partitions it is the fullest that answers.

        Raises:
            RegistryUnavailable: none answered, or can do it now.
        """
        if self.connections.address.is_fake:
            return None
        if (cluster := self.connections.address.cluster) is None:
            return memory_in(await self._asked(self.connections, "memory", "control", "INFO", "memory"))
        generation = self.connections.address.generation
        try:
            nodes = await cluster.nodes_of(headers, self.slots)
        except Exception as error:
            raise self.translated("memory", error, generation, reads=True) from error
        there = map(self.connections.at, nodes)
        return await fullest(self._asked(each, "memory", "control", "INFO", "memory") for each in there)

    async def _asked(self, there: Connections, operation: str, kind: str, *command: Any) -> Any:
        """Send a command that only reads to one server."""
        generation = there.address.generation
        try:
            return await there.execute(kind, *command)
        except Exception as error:
            raise self.translated(operation, error, generation, reads=True, node=there.address) from error

    async def prove(self, proof: Proof, headers: Sequence[str]) -> None:
        """Check that the server's ACL allows all that will be needed (rule 8.14). A fakeredis one has no ACL.

        Raises:
            SettingsError: something is missing; it names all of it.
            RegistryUnavailable: the server did not answer, or cannot do it now.
        """
        address = self.connections.address
        if address.is_fake:
            return
        for carrier in await self._carriers("open", headers):
            where = f"{carrier.address.shown}: " if address.cluster is not None else ""
            if lacks := await self._lacking(carrier, "open", proof):
                raise SettingsError(f"{where}{lacks}")

    async def _lacking(self, there: Connections, operation: str, proof: Proof | None = None) -> str:
        """Return what a server does not allow and what cures that, for people; empty if it allows all."""
        found = await self._rights.missing_at(there.address, partial(self._asked, there, operation, "calls"), proof)
        return f"{found[0].refusal(self.connections.address.user, found[1])}. {self._remedy()}" if found else ""

    async def _prove_at(self, node: Address, operation: str, *, reads: bool) -> None:
        """Check a node that has come to serve a partition since the namespace was opened."""
        if lacks := await self._lacking(self.connections.at(node), operation):
            emit(RegistryBadAnswer(operation=operation, reply="NOPERM", meaning=f"{node.shown}: {lacks}"))
            raise RegistryUnavailable(operation, f"{node.shown}: {lacks}", maybe_applied=False, reads=reads)

    def translated(
        self,
        operation: str,
        error: Exception,
        generation: int,
        *,
        opening: bool = False,
        reads: bool = False,
        node: Address | None = None,
    ) -> LashError:
        """Return the error that stands for one of redis-py's; do and tell what else it asks for (rule 8.13).

        Args:
            operation: what was asked for.
            error: what redis-py raised.
            generation: that of the connection.
            opening: what the server refuses is a setting, also if the namespace is open.
            reads: nothing was to be applied.
            node: of the cluster, if it is one.
        """
        address = self.connections.address if node is None else node
        reply, opening = reply_of(error), opening or self.is_opening
        cure = self._remedy() if reply.is_of_rights else ""
        if reply.drops:
            address.leave(generation)
            if node is not None and (cluster := self.connections.address.cluster) is not None:
                cluster.doubt(node)
        if reply.meaning is Meaning.NOT_UNDERSTOOD or (reply.meaning is Meaning.REFUSED and not opening):
            meaning = f"{reply.text}. {cure}" if cure else reply.text
            emit(RegistryBadAnswer(operation=operation, reply=text_of(unwrapped(error)), meaning=meaning))
        return translated(operation, error, where=address.shown_now, opening=opening, reads=reads, remedy=cure)

    def _remedy(self) -> str:
        address = self.connections.address
        return remedy(
            address.user,
            self._namespace,
            to_read=self.to_read,
            in_slots=address.cluster is not None,
            also=address.commands,
        )
