"""The parameters of a signature as the registry stores them: what binding needs to know, and no types. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

POSITIONAL: Final = frozenset({"POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD"})
BY_NAME: Final = frozenset({"POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY"})


class BareParameter(msgspec.Struct, frozen=True, array_like=True):
    """What binding needs to know of a parameter: ``kind`` is the name of one in ``inspect.Parameter``."""

    name: str
    kind: str
    has_default: bool

    @property
    def is_required(self) -> bool:
        """True if a call must pass it."""
        return not self.has_default and self.kind in POSITIONAL | BY_NAME


BareParameters: TypeAlias = tuple[BareParameter, ...]

_decoder: Final = msgspec.msgpack.Decoder(BareParameters)


def encode_parameters(parameters: Iterable[BareParameter]) -> bytes:
    """Return the parameters of a signature as the registry stores them under its digest."""
    return msgspec.msgpack.encode(list(parameters))


def decode_parameters(data: bytes) -> BareParameters:
    """Return the parameters that ``data`` holds.

    Raises:
        msgspec.MsgspecError: it holds none; a newer release may have written it.
    """
    return _decoder.decode(data)
