"""Sending the calls of operations: the namespace is opened first, and a call without an answer is sent again."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import msgspec

from lash_redis.core.errors import LashError, RegistryUnavailable, ScriptError
from lash_redis.core.events import RegistryBadAnswer
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, jittered
from lash_redis.registry.calls.call import ATTEMPTS, Call, Namespace, Operation, Steps
from lash_redis.registry.calls.opening import opening
from lash_redis.registry.calls.proving import Proof
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.scripts import script_of
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.connections import Connections
from lash_redis.registry.transport.server import Memory, ServerInfo
from lash_redis.registry.transport.transport import Transport

P = ParamSpec("P")
T = TypeVar("T")


class Target(msgspec.Struct, frozen=True):
    """One namespace on one server, and how to open it.

    Attributes:
        adopts: the namespace must exist, and says itself how many partitions it has.
        allow_unsafe_server: a server that evicts keys is accepted.
    """

    namespace: Namespace
    address: Address
    adopts: bool
    allow_unsafe_server: bool


class Sender:
    """Sends the calls of operations to one target.

    Attributes:
        server: what the server said of itself; None before the namespace is open.
    """

    def __init__(self, target: Target, connections: Connections) -> None:
        self.target = target
        self.transport = Transport(connections, target.namespace.name)
        self.server: ServerInfo | None = None
        self._connections = connections
        self._era = -1  # that of the address when the namespace was opened
        self._may_write = False  # it is proven that the server allows all that writing needs

    @property
    def is_open(self) -> bool:
        """The server was checked and the namespace is open."""
        return self.server is not None and self._era == self.target.address.era and bool(self.target.namespace.uuid)

    async def perform(self, operation: Operation[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Open the namespace, send the calls of an operation, and return the operation's value."""
        if not self.is_open:
            await self.open()
        return await self.send(operation(self.target.namespace, *args, **kwargs))

    async def send(self, calls: Call[T] | Steps[T]) -> T:
        """Send one call, or those of an operation one after the other, and return the value that comes of them."""
        if isinstance(calls, Call):
            return await self._answer_to(calls)
        steps = iter(calls)
        try:
            call = next(steps)
            while True:
                try:
                    answer = await self._answer_to(call)
                except LashError as error:
                    call = steps.throw(error)  # the operation may go on past it
                else:
                    call = steps.send(answer)
        except StopIteration as end:
            value: T = end.value
            return value

    async def open(self, *, to_read: bool = False) -> ServerInfo:
        """Check the server and open the namespace, once; return what is known of the server.

        ``to_read`` proves what reading needs. The first call that writes then proves the rest (rule 8.14).
        """
        if self.server is not None and self.is_open:
            return self.server
        async with self._connections.lock():
            if self.server is None or not self.is_open:
                await self._connections.find()
                era = self.target.address.era
                self.target.address.check_tls()
                self.transport.is_opening, self.transport.to_read = True, to_read
                self.server = await self._repeated(self.check_server, ATTEMPTS)
                await self._prove(to_read=to_read)
                await self.send(opening(self.target.namespace, self.target.address.shown, adopt=self.target.adopts))
                if self.target.adopts and self.target.namespace.partitions > 1:
                    if self.target.address.cluster is not None:  # other nodes have the other partitions
                        self.server = await self._repeated(self.check_server, ATTEMPTS)
                    await self._prove(to_read=to_read)
                self.transport.is_opening = False
                self._era = era
            return self.server

    async def check_server(self) -> ServerInfo:
        """Read and judge the server, now.

        Raises:
            UnsafeServerError: it evicts keys, or is too old.
        """
        await self._connections.find()
        return await self.transport.server_info(self._headers(), allow_unsafe=self.target.allow_unsafe_server)

    async def memory(self, partition: int | None = None) -> Memory | None:
        """Return how much memory the server uses, now; None if it has no limit."""
        await self._connections.find()
        return await self.transport.memory(
            self._headers() if partition is None else [self.target.namespace.header_key(partition)]
        )

    async def aclose(self) -> None:
        """Close our own connections that nobody uses."""
        await self._connections.aclose()

    async def _prove(self, *, to_read: bool) -> None:
        self.transport.to_read = to_read
        namespace, in_slots = self.target.namespace, self.target.address.cluster is not None
        proof = Proof(namespace, range(namespace.partitions), to_read=to_read, in_slots=in_slots)
        await self._repeated(lambda: self.transport.prove(proof, self._headers()), ATTEMPTS)
        self._may_write = not to_read

    def _headers(self) -> list[str]:
        return [self.target.namespace.header_key(each) for each in range(self.target.namespace.partitions)]

    async def _answer_to(self, call: Call[T]) -> T:
        script, header = script_of(call.script), self.target.namespace.header_key(call.partition)
        if not self._may_write and script.flags != "no-writes":
            await self._prove(to_read=False)
        shebang = self.server is not None and self.server.takes_shebang
        args = [*call.args, self.target.namespace.uuid]
        once = functools.partial(self.transport.run, script, header, args, shebang=shebang)
        reply = await self._repeated(once, call.attempts)
        try:
            return _decoded(call, reply)
        except Exception as error:
            if isinstance(error, LashError) and not isinstance(error, ScriptError):
                raise
            shown = _shown(reply)
            emit(RegistryBadAnswer(operation=call.script, reply=shown, meaning="its script does not answer so"))
            if isinstance(error, ScriptError):
                raise
            raise ScriptError(f"{call.script}: a reply outside its contract: {shown}") from error

    async def _repeated(self, once: Callable[[], Awaitable[T]], attempts: int) -> T:
        """Try up to so many times; the last error says whether any of the attempts may have been applied."""
        failures, maybe_applied = 0, False
        while True:
            try:
                return await once()
            except RegistryUnavailable as error:
                failures += 1
                maybe_applied = error.maybe_applied = maybe_applied or error.maybe_applied
                await self._revive(error)
                if failures == attempts:
                    raise
            await self._connections.pause(jittered(backoff(failures, 0.05, 1.0), 0.2))

    async def _revive(self, unavailable: RegistryUnavailable) -> None:
        try:
            await self._connections.revive()
        except LashError as error:
            unavailable.add_note(f"the embedded server could not be started again: {error}")


def _decoded(call: Call[T], reply: list[Any]) -> T:
    """Return what a reply says. Any script may find that the partition is another namespace's (rule 8.2)."""
    if reply[0] == b"MISMATCH" or call.word not in (None, reply[0]):
        raise refusal("", reply)
    return call.decode(reply)


def _shown(reply: Any) -> str:
    """Return what a reply is, without what it carries: that may be a payload."""
    return f"{reply[0]!r}, {len(reply)} items" if isinstance(reply, list) and reply else type(reply).__name__
