"""What makes two registrations the same (rule 5.6): nothing more than the row holds, or a digest. Pure.

``content_of.lua`` compares. The order of a mapping's keys is no content, unless the keys cannot be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from lash_redis.core.model import ProcessRegistration, TaskInput
from lash_redis.registry.codec import DISPOSITION_CODES, TASK_PARTS, input_parts

_SHORT_BYTES = 64
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})

_encode = msgspec.msgpack.Encoder().encode
_encode_sorted = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder().decode


def content_digest(registration: ProcessRegistration, data: bytes) -> bytes:
    """Return a digest of a registration with the input ``data``; empty if what is registered is compared as it stands.

    That is so if the input is short and has no mapping of several keys, which is the same for all registrations of one
    content.
    """
    parts = input_parts(registration.input)
    if len(data) <= _SHORT_BYTES and not _has_order(parts, data):
        return b""
    task = registration.input.task if isinstance(registration.input, TaskInput) else ""
    content = [DISPOSITION_CODES[registration.disposition], registration.granted_to, task, *parts]
    try:
        return sha256(_encode_sorted(content)).digest()[:16]
    except TypeError:
        return sha256(_encode(content)).digest()[:16]


def plain_input(args: Sequence[Any], kwargs: Mapping[str, Any], at_most: int) -> bytes | None:
    """Return the input of a call, if it is short and of plain values alone: it needs no digest, and can be read again.

    None: it is another one, or cannot be encoded, or is longer than ``at_most`` bytes.
    """
    if kwargs or at_most < _SHORT_BYTES or not _PLAIN.issuperset(map(type, args)):
        return None
    try:
        data = _encode((args, kwargs))
    except (ValueError, OverflowError):
        return None
    return data if len(data) <= _SHORT_BYTES else None


def _has_order(parts: list[Any], data: bytes) -> bool:
    """Say whether an input has a mapping of several keys. Nearly all have plain values alone, which is seen at once."""
    if len(parts) == TASK_PARTS:
        args, kwargs = parts
        if len(kwargs) <= 1 and _PLAIN.issuperset(map(type, args)) and _PLAIN.issuperset(map(type, kwargs.values())):
            return False
    return _holds_several_keys(_decode(data))


def _holds_several_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) > 1 or any(map(_holds_several_keys, value.values()))
    return isinstance(value, list) and any(map(_holds_several_keys, value))
