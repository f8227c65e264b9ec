"""Commands as bytes: our packer, and the one of hiredis where it is installed."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.registry.transport.packing import _packed, packed

COMMAND: tuple[Any, ...] = ("EVALSHA", "grün", 1, b"\x00\xff\r\n", "", -7, 2**63)


@pytest.mark.parametrize("pack", [packed, _packed])
def test_a_command_is_packed_as_the_protocol_has_it(pack: Any) -> None:
    """Text as UTF-8, numbers as their digits, and bytes as they are."""
    assert pack(COMMAND) == (
        b"*7\r\n$7\r\nEVALSHA\r\n$5\r\ngr\xc3\xbcn\r\n$1\r\n1\r\n$4\r\n\x00\xff\r\n\r\n$0\r\n\r\n"
        b"$2\r\n-7\r\n$19\r\n9223372036854775808\r\n"
    )
