"""The protocol of Redis, as far as a proxy needs it: where one request, one reply ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_WITH_LENGTH: Final = b"$=!"
_WITH_ITEMS: Final = b"*~>"
_WITH_PAIRS: Final = b"%|"


class _Requests:
    """Reads words from a client in pieces, and keeps all bytes that it read."""

    def __init__(self, read: Callable[[int], Awaitable[bytes]]) -> None:
        self._read = read
        self.raw = bytearray()

    async def line(self) -> bytes:
        """Read to the end of a line, byte by byte: what follows belongs to the next reader."""
        start = len(self.raw)
        while not self.raw.endswith(b"\r\n", start):
            self.raw += await self._read(1)
        return bytes(self.raw[start:-2])

    async def word(self) -> bytes:
        """Read one word and its end of line."""
        size = int((await self.line())[1:])
        start = len(self.raw)
        while (missing := start + size + 2 - len(self.raw)) > 0:
            self.raw += await self._read(missing)
        return bytes(self.raw[start:-2])


async def read_request(read: Callable[[int], Awaitable[bytes]]) -> tuple[bytes, list[bytes]]:
    """Read one request by ``read``, which returns at most so many bytes; return its bytes and its words."""
    request = _Requests(read)
    count = int((await request.line())[1:])
    words = [await request.word() for _ in range(count)]
    return bytes(request.raw), words


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    """Read one reply, of either version of the protocol; return its bytes."""
    line = await reader.readuntil(b"\r\n")
    kind, size = line[:1], line[1:-2]
    if kind in _WITH_LENGTH:
        return line if size == b"-1" else line + await reader.readexactly(int(size) + 2)
    if kind in _WITH_ITEMS or kind in _WITH_PAIRS:
        if size == b"-1":
            return line
        items = int(size) * (2 if kind in _WITH_PAIRS else 1) + (1 if kind == b"|" else 0)
        return line + b"".join([await read_reply(reader) for _ in range(items)])
    return line
