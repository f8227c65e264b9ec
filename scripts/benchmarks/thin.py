"""The thinnest client that can perform an operation: one blocking socket, and the parser that redis-py uses too.

The calls are the product's own, so that what is sent is what a worker sends. Nothing is opened, awaited, repeated or
watched here.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import hiredis

from lash_redis import ProcessRegistry
from lash_redis.registry.calls.call import Call, Operation
from lash_redis.registry.scripts import function_of, names

T = TypeVar("T")
_AT_ONCE = 1 << 16


class Wire(Protocol):
    """What bytes go to and come from."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""

    def recv(self, size: int, /) -> bytes:
        """Return some of what came."""

    def close(self) -> None:
        """Send and receive no more."""


class Recorded:
    """A wire that keeps what came, as it came."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.came: list[bytes] = []
        self.sendall, self.close = wire.sendall, wire.close

    def recv(self, size: int, /) -> bytes:
        """Return some of what came, and keep it."""
        self.came.append(data := self._wire.recv(size))
        return data


class Replayed:
    """A wire to nobody: what came to a recorded one comes once more, whatever is sent."""

    def __init__(self, came: Sequence[bytes]) -> None:
        self._coming = iter(came)

    def sendall(self, data: bytes, /) -> None:
        """Send nothing."""

    def recv(self, _size: int, /) -> bytes:
        """Return what came next."""
        return next(self._coming)

    def close(self) -> None:
        """Do nothing."""


class Thin:
    """Performs operations in the namespace that an open registry has, over one wire."""

    def __init__(self, registry: ProcessRegistry, wire: Wire) -> None:
        self._namespace = registry.target.namespace
        self._reader = hiredis.Reader()
        self._wire = wire

    def load_scripts(self) -> None:
        """Give the server the scripts: they are called by their names alone."""
        for name in names():
            self._command("FUNCTION", "LOAD", "REPLACE", function_of(name).library)

    def perform(self, operation: Operation[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Send the calls of an operation, one after the other, and return its value."""
        steps = iter(operation(self._namespace, *args, **kwargs))
        try:
            call = next(steps)
            while True:
                call = steps.send(self._answer_to(call))
        except StopIteration as end:
            value: T = end.value
            return value

    def script_us(self) -> int:
        """Return how many µs the server has spent in transitions since it started."""
        stats = self._command("INFO", "commandstats")
        return sum(map(int, re.findall(rb"cmdstat_fcall:.*?usec=(\d+)", stats)))

    def _answer_to(self, call: Call[Any]) -> Any:
        name, header = function_of(call.script).name, self._namespace.header_key(call.partition)
        return call.decode(self._command("FCALL", name, 1, header, *call.args, self._namespace.uuid))

    def _command(self, *words: Any) -> Any:
        self._wire.sendall(hiredis.pack_command(words))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._wire.recv(_AT_ONCE))
        if isinstance(reply, Exception):
            raise reply
        return reply


def connected(url: str) -> socket.socket:
    """Return a blocking socket that is connected to a server."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        found = socket.socket(socket.AF_UNIX)
        found.connect(parts.path)
        return found
    found = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found
