"""One script sent, and the server inspected: replies as they come, redis-py's errors as ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.core.errors import LashError, SettingsError
from lash_redis.core.events import RegistryBadAnswer
from lash_redis.core.subscribers import emit
from lash_redis.registry.calls.proving import SOURCE, Proof, remedy
from lash_redis.registry.scripts import Function, Script, function_of
from lash_redis.registry.transport.connections import Connections
from lash_redis.registry.transport.errors import Missing, missing_in, reply_of, translated, unwrapped
from lash_redis.registry.transport.replies import Meaning, text_of
from lash_redis.registry.transport.server import FAKE_SERVER, Memory, ServerInfo, judged, memory_in


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

    async def run(self, script: Script, header: str, args: Sequence[Any], *, shebang: bool) -> list[Any]:
        """Run one transition in one partition: as a function, or as a script where the server takes no functions.

        Raises:
            RegistryUnavailable: the server did not answer, or cannot do it now.
            SettingsError: it refuses, and the namespace is being opened.
        """
        generation = self.connections.address.generation
        try:
            if shebang and self.takes_functions:
                return await self._run_function(script, header, args)
            return await self._run_script(script, header, args, shebang=shebang)
        except Exception as error:  # redis-py meets a reply that it cannot take apart with a ValueError
            reads = script.flags == "no-writes"
            raise self.translated(script.name, error, generation, reads=reads) from error

    async def _run_function(self, script: Script, header: str, args: Sequence[Any]) -> list[Any]:
        """Call its function; load the library if the server does not have it. If it takes none, run the script."""
        call, kind, function = self.connections.call, script.connections, function_of(script.name)
        try:
            return await call(kind, "FCALL", function.name, 1, header, *args)  # type: ignore[no-any-return]
        except Exception as error:
            lacks = missing_in(error)
            if lacks is None:
                raise
        if lacks is Missing.FUNCTION and (lacks := await self._load(kind, function)) is None:
            return await call(kind, "FCALL", function.name, 1, header, *args)  # type: ignore[no-any-return]
        self.takes_functions = lacks is not Missing.FUNCTIONS
        return await self._run_script(script, header, args, shebang=True)

    async def _load(self, kind: str, function: Function) -> Missing | None:
        """Load the library of a function; return what hinders it, such as a full server: a script runs all the same."""
        from redis.exceptions import ResponseError

        try:
            await self.connections.call(kind, "FUNCTION", "LOAD", "REPLACE", function.library)
        except ResponseError as error:
            return missing_in(error) or Missing.FUNCTION
        return None

    async def _run_script(self, script: Script, header: str, args: Sequence[Any], *, shebang: bool) -> list[Any]:
        """Run it by its SHA; send the source if the server does not have it (rule 8.11)."""
        call, kind = self.connections.call, script.connections
        sha, source = (script.shebang_sha, script.shebang_source) if shebang else (script.sha, script.source)
        try:
            return await call(kind, "EVALSHA", sha, 1, header, *args)  # type: ignore[no-any-return]
        except Exception as error:
            if missing_in(error) is not Missing.SCRIPT:
                raise
        return await call(kind, "EVAL", source, 1, header, *args)  # type: ignore[no-any-return]

    async def server_info(self, *, allow_unsafe: bool) -> ServerInfo:
        """Read and judge what the server says of itself; a fakeredis one is not asked, since it has no ``INFO``.

        Raises:
            UnsafeServerError: it evicts keys, is too old, or is of a kind that is not supported.
            RegistryUnavailable: the server did not answer, or cannot do it now.
            SettingsError: it refuses, and the namespace is being opened.
        """
        import redis

        if self.connections.address.is_fake:
            return FAKE_SERVER
        execute = self.connections.execute
        generation = self.connections.address.generation
        try:
            info = await execute("calls", "INFO")
            try:
                appendfsync = (await execute("calls", "CONFIG GET", "appendfsync")).get("appendfsync")
            except redis.ResponseError:
                appendfsync = None
        except Exception as error:
            raise self.translated("open", error, generation, reads=True) from error
        return judged(info, appendfsync, allow_unsafe=allow_unsafe)

    async def memory(self) -> Memory | None:
        """Read how much memory the server uses; None if it has no limit, or is a fakeredis one.

        Raises:
            RegistryUnavailable: the server did not answer, or cannot do it now.
        """
        if self.connections.address.is_fake:
            return None
        generation = self.connections.address.generation
        try:
            return memory_in(await self.connections.execute("control", "INFO", "memory"))
        except Exception as error:
            raise self.translated("memory", error, generation, reads=True) from error

    async def prove(self, proof: Proof) -> None:
        """Check that the server's ACL allows all that will be needed (rule 8.14). A fakeredis one has no ACL.

        Raises:
            SettingsError: something is missing; it names all of it.
            RegistryUnavailable: the server did not answer, or cannot do it now.
        """
        address = self.connections.address
        if address.is_fake:
            return
        generation = address.generation
        try:
            refused = await self.connections.execute("calls", "EVAL", SOURCE, 0, *proof.lines)
        except Exception as error:
            raise self.translated("open", error, generation, reads=True) from error
        if missing := proof.missing(refused):
            raise SettingsError(f"{proof.refusal(address.user, missing)}. {self._remedy()}")

    def translated(
        self, operation: str, error: Exception, generation: int, *, opening: bool = False, reads: bool = False
    ) -> LashError:
        """Return the error that stands for one of redis-py's; do and tell what else it asks for (rule 8.13).

        Args:
            operation: what was asked for.
            error: what redis-py raised.
            generation: that of the connection.
            opening: what the server refuses is a setting, also if the namespace is open.
            reads: nothing was to be applied.
        """
        reply, opening = reply_of(error), opening or self.is_opening
        cure = self._remedy() if reply.is_of_rights else ""
        if reply.drops:
            self.connections.address.leave(generation)
        if reply.meaning is Meaning.NOT_UNDERSTOOD or (reply.meaning is Meaning.REFUSED and not opening):
            meaning = f"{reply.text}. {cure}" if cure else reply.text
            emit(RegistryBadAnswer(operation=operation, reply=text_of(unwrapped(error)), meaning=meaning))
        where = self.connections.address.shown
        return translated(operation, error, where=where, opening=opening, reads=reads, remedy=cure)

    def _remedy(self) -> str:
        address = self.connections.address
        return remedy(address.user, self._namespace, to_read=self.to_read, also=address.commands)
