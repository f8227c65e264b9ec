"""Commands as bytes. redis-py's own packer is pure Python on an event loop, and copies what it has at each argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Argument = bytes | str | int


def _packed(command: Sequence[Argument]) -> bytes:
    """Return a command as the protocol has it."""
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        data = argument.encode() if isinstance(argument, str) else argument
        if isinstance(data, int):
            data = b"%d" % data
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _packer() -> Callable[[Any], bytes]:
    try:
        from hiredis import pack_command
    except ImportError:
        return _packed
    return pack_command


packed = _packer()
