"""A proxy before a real server: it can make every kind of fault at any call of any connection.

It understands requests and replies, and knows a script by its SHA. It runs in a thread with an event loop of its own,
so that async code, blocking code and other OS processes use it alike: they connect to ``Proxy.url``. ``fault_kinds``
lists the kinds of fault, for suites that try them all.

    with Proxy(server.url) as proxy:
        proxy.answer("terminalize", "NOPERM no such channel", before=False, times=2)
        registry = ProcessRegistry(proxy.url)
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from hashlib import sha1
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from lash_redis.registry.scripts import load_all
from tests.resp import read_reply, read_request

READONLY: Final = "READONLY You can't write against a read only replica."

_FUNCTION: Final = re.compile(r"^lash_(\w+)_[0-9a-f]{16}$")
_SCRIPT_NAMES: Final = {sha: each.name for each in load_all().values() for sha in (each.sha, each.shebang_sha)}
_READS: Final = {each.name for each in load_all().values() if each.flags == "no-writes"}
_WRITE_COMMANDS: Final = {
    "SET",
    "DEL",
    "HSET",
    "HDEL",
    "ZADD",
    "ZREM",
    "EVAL",
    "EVALSHA",
    "FCALL",
    "PUBLISH",
    "FLUSHALL",
}
_SUBSCRIBES: Final = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}
_CHUNK: Final = 16 << 10
_LEAST_PAUSE_S: Final = 0.01


class Sent(msgspec.Struct, frozen=True):
    """One call that reached the proxy.

    Attributes:
        name: the script's name, else the command's, in capitals.
        command: the command's name, in capitals.
        size: of the request, bytes.
        connection: number of its connection; the first is 1.
        args: what follows the command; of a script its SHA, the number of keys, the keys, the arguments.
    """

    name: str
    command: str
    size: int
    connection: int
    args: tuple[bytes, ...]

    @property
    def is_write(self) -> bool:
        """A replica would refuse it."""
        return self.command in _WRITE_COMMANDS and self.name not in _READS


class What(Enum):
    """What a fault does to a call."""

    ANSWER = auto()
    CUT = auto()
    SWALLOW = auto()
    HOLD = auto()


class Fault:
    """A fault that strikes calls until it has done so often enough, or until it is ended.

    Attributes:
        struck: how often it has.
    """

    def __init__(
        self,
        what: What,
        name: str | None,
        text: str,
        *,
        before: bool,
        times: int | None,
        only: Callable[[Sent], bool] | None,
    ) -> None:
        self.what, self.name, self.text, self.before = what, name, text, before
        self.struck = 0
        self._times = times
        self._only = only
        self._let_go = threading.Event()

    def end(self) -> None:
        """Strike no more, and let go what is held."""
        self._times = 0
        self._let_go.set()

    @property
    def has_ended(self) -> bool:
        """It strikes no more."""
        return self._times is not None and self.struck >= self._times

    @property
    def is_let_go(self) -> bool:
        """What it held goes on."""
        return self._let_go.is_set()

    def strikes(self, call: Sent) -> bool:
        """Return whether it strikes this call."""
        if self.has_ended or self.name not in (None, call.name, call.command):
            return False
        return self._only is None or self._only(call)


class Proxy:
    """One proxy before one server.

    Attributes:
        url: where clients connect.
        sent: every call that came, in order.
        accepted: how many connections came.
    """

    def __init__(self, upstream: str, *, tcp: bool = False) -> None:
        self._upstream = upstream.removeprefix("unix://")
        self._tcp = tcp
        self._folder = Path(tempfile.mkdtemp(prefix="lash-"))
        self.url = f"unix://{self._folder / 'p'}"
        self.sent: list[Sent] = []
        self.accepted = 0
        self._faults: list[Fault] = []
        self._demoted: tuple[int, str] = (0, READONLY)  # connections up to this number get that answer to writes
        self._is_hole = False
        self._rates: dict[str, int | None] = {"up": None, "down": None}
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._serving: set[asyncio.Task[object]] = set()  # one for each connection, from its first step
        self._changing = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._is_ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="test-proxy", daemon=True)
        self._thread.start()
        assert self._is_ready.wait(10)

    # -- what a test asks for ------------------------------------------------------------------------------------------

    def answer(
        self,
        name: str | None,
        text: str,
        *,
        before: bool,
        times: int | None = 1,
        only: Callable[[Sent], bool] | None = None,
    ) -> Fault:
        """Answer calls with an error: before they reach the server, or after they were applied.

        Args:
            name: a script's or a command's; None for any.
            text: the error, from its first word.
            before: the call never reaches the server; else its own answer is lost.
            times: how often; None until the fault is ended.
            only: of the calls of that name, those for which this is true.
        """
        return self._add(Fault(What.ANSWER, name, text, before=before, times=times, only=only))

    def cut(
        self, name: str | None, *, before: bool, times: int | None = 1, only: Callable[[Sent], bool] | None = None
    ) -> Fault:
        """Cut the connection of a call, before it reaches the server or instead of its answer."""
        return self._add(Fault(What.CUT, name, "", before=before, times=times, only=only))

    def swallow(
        self, name: str | None, *, before: bool, times: int | None = 1, only: Callable[[Sent], bool] | None = None
    ) -> Fault:
        """Never answer a call, which did not reach the server or was applied; its connection stays open and silent."""
        return self._add(Fault(What.SWALLOW, name, "", before=before, times=times, only=only))

    def hold(
        self, name: str | None, *, before: bool, times: int | None = 1, only: Callable[[Sent], bool] | None = None
    ) -> Fault:
        """Hold a call, or its answer, until ``Fault.end``."""
        return self._add(Fault(What.HOLD, name, "", before=before, times=times, only=only))

    def black_hole(self) -> None:
        """Accept connections and bytes, and say nothing, until ``heal``."""
        self._is_hole = True

    def throttle(self, *, up: int | None = None, down: int | None = None) -> None:
        """Let so many bytes a second pass on each connection, to the server and from it; None for any number."""
        self._rates = {"up": up, "down": down}

    def demote(self, text: str = READONLY) -> None:
        """Be a primary that became a replica: the connections that are open stay, and get ``text`` for each write.

        Connections that come later reach the new primary.
        """
        self._demoted = (self.accepted, text)

    def cut_all(self) -> None:
        """Cut every connection that is open."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def lead_to(self, upstream: str) -> None:
        """Lead to another server from now on, and cut every connection that is open."""
        self._upstream = upstream.removeprefix("unix://")
        self.cut_all()

    def heal(self) -> None:
        """End every fault; connections that are open stay."""
        with self._changing:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.end()
        self._is_hole = False
        self._demoted = (0, READONLY)
        self.throttle()

    @property
    def counts(self) -> Counter[str]:
        """How often each call came, by name."""
        return Counter(call.name for call in list(self.sent))

    @property
    def sizes(self) -> Counter[str]:
        """How many bytes of requests came, by name."""
        sizes: Counter[str] = Counter()
        for call in list(self.sent):
            sizes[call.name] += call.size
        return sizes

    @property
    def open_connections(self) -> set[int]:
        """The numbers of the connections that are open."""
        return set(self._writers)

    def stop(self) -> None:
        """End the thread, and delete the folder."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    # -- what the thread does ------------------------------------------------------------------------------------------

    def _add(self, fault: Fault) -> Fault:
        with self._changing:
            self._faults.append(fault)
        return fault

    def _striking(self, call: Sent, *, before: bool) -> Fault | None:
        with self._changing:
            for fault in self._faults:
                if fault.before is before and fault.strikes(call):
                    fault.struck += 1
                    return fault
        return None

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        # Little is buffered here, so that a client notices a throttle as it would notice a slow link.
        if self._tcp:
            listening = socket.create_server(("127.0.0.1", 0))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK)
            server = await asyncio.start_server(self._on_connection, sock=listening, limit=_CHUNK)
            self.url = f"redis://127.0.0.1:{listening.getsockname()[1]}"
        else:
            server = await asyncio.start_unix_server(self._on_connection, self._folder / "p", limit=_CHUNK)
        self._is_ready.set()
        await self._stop.wait()
        # Accept no more, and let what was accepted just now begin: asyncio leaves behind what it accepts for a server
        # that is closed, and complains of a connection whose task is cancelled before its first step.
        for each in server.sockets:
            self._loop.remove_reader(each.fileno())
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            self._cut_all()
            for task in tasks & self._serving:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.01)
        server.close()
        await asyncio.sleep(0)  # what was aborted is closed by a callback

    def _cut_all(self) -> None:
        for writer in self._writers.values():
            writer.transport.abort()

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        number = self.accepted
        self._writers[number] = writer
        mine = asyncio.current_task()
        assert mine is not None
        self._serving.add(mine)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await self._until(lambda: not self._is_hole or self._stop.is_set())
            server_reader, server_writer = await asyncio.open_unix_connection(self._upstream)
            try:
                await _Connection(self, number, (reader, writer), (server_reader, server_writer)).run()
            finally:
                server_writer.transport.abort()
        del self._writers[number]
        self._serving.discard(mine)
        writer.transport.abort()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():  # noqa: ASYNC110 - a test's own thread changes what is waited for
            await asyncio.sleep(0.002)


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One client's connection: requests one by one, each with its answer; once it subscribes, messages as they come."""

    def __init__(self, proxy: Proxy, number: int, client: _Streams, server: _Streams) -> None:
        self._proxy = proxy
        self._number = number
        self._client, self._to_client = client
        self._server, self._to_server = server
        self._pump: asyncio.Task[None] | None = None
        self._owed_s = 0.0

    async def run(self) -> None:
        """Serve it until either end closes it."""
        try:
            while True:
                raw, words = await read_request(self._read_slowly)
                await self._serve(raw, self._note(raw, words))
        finally:
            if self._pump is not None:
                self._pump.cancel()

    def _note(self, raw: bytes, words: list[bytes]) -> Sent:
        command = words[0].decode().upper()
        name = command
        if command == "FCALL":
            name = _FUNCTION.sub(r"\1", words[1].decode())
        elif command == "EVALSHA":
            name = _SCRIPT_NAMES.get(words[1].decode(), command)
        elif command == "EVAL":
            name = _SCRIPT_NAMES.get(sha1(words[1], usedforsecurity=False).hexdigest(), command)
        call = Sent(name, command, len(raw), self._number, tuple(words[1:]))
        self._proxy.sent.append(call)
        return call

    async def _serve(self, raw: bytes, call: Sent) -> None:
        up_to, text = self._proxy._demoted  # noqa: SLF001 - one class in two halves
        if self._number <= up_to and call.is_write:
            await self._answer(_error(text))
            return
        fault = self._proxy._striking(call, before=True)  # noqa: SLF001
        if fault is not None and not await self._goes_on(fault):
            return
        self._to_server.write(raw)
        await self._to_server.drain()
        if call.command in _SUBSCRIBES and self._pump is None:
            self._pump = asyncio.create_task(self._pass_on_messages())
        if self._pump is None:
            await self._answer(await self._struck_answer(call))
        elif (after := self._proxy._striking(call, before=False)) is not None:  # noqa: SLF001
            await self._goes_on(after)

    async def _struck_answer(self, call: Sent) -> bytes:
        answer = await read_reply(self._server)
        while answer.startswith(b">"):  # a message out of turn
            await self._answer(answer)
            answer = await read_reply(self._server)
        if answer.startswith((b"-NOSCRIPT", b"-ERR Function not found")):
            return answer  # nothing was applied: the client sends the source next
        fault = self._proxy._striking(call, before=False)  # noqa: SLF001
        return answer if fault is None or await self._goes_on(fault) else b""

    async def _goes_on(self, fault: Fault) -> bool:
        """Do what a fault does; return whether the call, or its answer, goes on."""
        match fault.what:
            case What.ANSWER:
                await self._answer(_error(fault.text))
            case What.CUT:
                raise EOFError
            case What.SWALLOW:
                await asyncio.Event().wait()
            case What.HOLD:
                await self._proxy._until(lambda: fault.is_let_go)  # noqa: SLF001
                return True
        return False

    async def _answer(self, raw: bytes) -> None:
        for start in range(0, len(raw), _CHUNK):
            chunk = raw[start : start + _CHUNK]
            await self._pass("down", len(chunk))
            self._to_client.write(chunk)
            await self._to_client.drain()

    async def _pass_on_messages(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while received := await self._server.read(_CHUNK):
                await self._answer(received)
        self._to_client.transport.abort()

    async def _read_slowly(self, size: int) -> bytes:
        """Read at most so many bytes from the client."""
        read = await self._client.read(min(size, _CHUNK))
        if not read:
            raise EOFError
        await self._pass("up", len(read))
        return read

    async def _pass(self, direction: str, size: int) -> None:
        """Let bytes pass: none in a black hole, so many a second where they are throttled."""
        await self._proxy._until(lambda: not self._proxy._is_hole)  # noqa: SLF001
        if rate := self._proxy._rates[direction]:  # noqa: SLF001
            self._owed_s += size / rate
            if self._owed_s >= _LEAST_PAUSE_S:
                owed, self._owed_s = self._owed_s, 0.0
                await asyncio.sleep(owed)


def _error(text: str) -> bytes:
    return f"-{text}\r\n".encode()
