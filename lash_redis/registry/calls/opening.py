"""Opening a namespace: what its headers must say. Pure.

Partition count, schema version and uuid stand in the header of partition 0; the first writer wins. The other partitions
carry copies, so that each script can check its own partition (rule 8.2).
"""

from __future__ import annotations

from typing import Any

from lash_redis.core.errors import NamespaceMismatch, SettingsError
from lash_redis.core.timing import random_token
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.keys import SCHEMA_VERSION

Header = tuple[str, int, int]


def opening(namespace: Namespace, *, adopt: bool) -> Steps[None]:
    """Open a namespace, which then knows its uuid.

    Args:
        namespace: its partition count is what is expected.
        adopt: take the partition count that the header says instead, and do not create the namespace.

    Raises:
        NamespaceMismatch: another partition count, a newer schema, or headers that do not belong together.
        SettingsError: there is no namespace to adopt.
    """
    header = yield from header_of(namespace, 0, random_token(), create=not adopt)
    if header is None:
        raise SettingsError(f"expected namespace to be one that exists, got {namespace.name!r}")
    uuid, partitions, schema = header
    if adopt:
        namespace.partitions = partitions
    if partitions != namespace.partitions:
        raise NamespaceMismatch(
            f"expected partitions to be {partitions}, as namespace {namespace.name!r} was created with, "
            f"got {namespace.partitions}; it is for ever (growing means a new namespace)"
        )
    _check_schema(namespace.name, schema)
    for partition in range(1, partitions):
        copy = yield from header_of(namespace, partition, uuid, create=True)
        if copy is None or copy[0] != uuid:
            raise NamespaceMismatch(
                f"partition {partition} of namespace {namespace.name!r} carries another header than partition 0 "
                "(was one of them flushed, or restored from a backup?)"
            )
    namespace.uuid = uuid


def header_of(namespace: Namespace, partition: int, uuid: str, *, create: bool) -> Call[Header | None]:
    """Read one partition's header (uuid, partitions, schema), or write it first; None if there is none."""

    def decode(reply: list[Any]) -> Header | None:
        return (reply[1].decode(), int(reply[2]), int(reply[3])) if reply[0] == b"OPEN" else None

    args: list[Argument] = [uuid, namespace.partitions, SCHEMA_VERSION, "1" if create else "0"]
    return Call("open", partition, args, decode)


def _check_schema(name: str, schema: int) -> None:
    if schema > SCHEMA_VERSION:
        raise NamespaceMismatch(
            f"expected namespace {name!r} to have schema {SCHEMA_VERSION} or older, got {schema}: "
            "it was created by a newer lash-redis"
        )
