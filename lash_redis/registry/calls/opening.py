"""Opening a namespace: what its headers must say. Pure.

Partition count, schema version and uuid stand in the header of partition 0; the first writer wins. The other partitions
carry copies, so that each script can check its own partition. They are written while the namespace is being created,
and never again: partition 0 says when all of them stand (rule 8.2).
"""

from __future__ import annotations

from typing import Any

import msgspec

from lash_redis.core.errors import NamespaceMismatch, SettingsError
from lash_redis.core.timing import random_token
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.keys import SCHEMA_VERSION


class Header(msgspec.Struct, frozen=True):
    """What a partition says of its namespace.

    Attributes:
        is_whole: every partition has its header. Of partition 0: before, the namespace is being created.
    """

    uuid: str
    partitions: int
    schema: int
    is_whole: bool


def opening(namespace: Namespace, where: str, *, adopt: bool) -> Steps[None]:
    """Open a namespace, which then knows its uuid.

    Args:
        namespace: its partition count is what is expected.
        where: the server, for people.
        adopt: take the partition count that the header says instead, and write nothing.

    Raises:
        NamespaceMismatch: another partition count or schema, or a header that is gone or another's.
        SettingsError: there is no namespace to adopt.
    """
    header = yield from header_of(0)
    if header is None and adopt:
        raise SettingsError(
            f"namespace {namespace.name!r} does not exist on {where} yet: the first submit or worker creates it "
            "(is this the right server, and the right name?)"
        )
    if header is None:
        header = yield from _created(namespace)
    if adopt:
        namespace.partitions = header.partitions
    _check(namespace, header)
    for partition in range(1, namespace.partitions):
        copy = yield from header_of(partition)
        if copy is None and not header.is_whole and not adopt:
            copy = yield from _written(namespace, partition, header.uuid, whole=True)
        if copy is None and not header.is_whole:
            raise NamespaceMismatch(
                f"partition {partition} of namespace {namespace.name!r} has no header yet: it is being created, or its "
                "creation was cut short, and whoever opens it with its partition count finishes it"
            )
        if copy is None or copy.uuid != header.uuid:
            raise NamespaceMismatch(
                f"partition {partition} of namespace {namespace.name!r} has lost its header, or carries another one "
                "than partition 0 (was one of them flushed, or restored from a backup?)"
            )
    if not header.is_whole and not adopt:
        yield from _written(namespace, 0, header.uuid, whole=True)
    namespace.uuid = header.uuid


def header_of(partition: int) -> Call[Header | None]:
    """Read one partition's header; None if the partition is empty.

    Raises:
        NamespaceMismatch: there are rows without a header.
    """
    return Call("header", partition, [], lambda reply: None if reply[0] == b"ABSENT" else _header_in(reply))


def _created(namespace: Namespace) -> Steps[Header]:
    """Write the header of partition 0, if no other partition has one.

    Raises:
        NamespaceMismatch: one has: partition 0 has lost its header.
    """
    for partition in range(1, namespace.partitions):
        if (yield from header_of(partition)) is not None and (yield from header_of(0)) is None:
            raise NamespaceMismatch(
                f"partition 0 of namespace {namespace.name!r} has lost its header, and partition {partition} has one "
                "(was one of them flushed, or restored from a backup?)"
            )
    return (yield from _written(namespace, 0, random_token(), whole=namespace.partitions == 1))


def _written(namespace: Namespace, partition: int, uuid: str, *, whole: bool) -> Call[Header]:
    """Write one partition's header; the answer is the one that stands: the first writer wins."""
    args: list[Argument] = [uuid, namespace.partitions, SCHEMA_VERSION, "1" if whole else ""]
    return Call("open", partition, args, _header_in)


def _header_in(reply: list[Any]) -> Header:
    if reply[0] != b"OPEN":
        raise refusal("", reply)
    _, uuid, partitions, schema, whole = reply
    return Header(uuid.decode(), int(partitions), int(schema), whole == b"1")


def _check(namespace: Namespace, header: Header) -> None:
    if header.partitions != namespace.partitions:
        raise NamespaceMismatch(
            f"expected partitions to be {header.partitions}, as namespace {namespace.name!r} was created with, "
            f"got {namespace.partitions}; it is for ever (growing means a new namespace)"
        )
    if header.schema > SCHEMA_VERSION:
        raise NamespaceMismatch(
            f"expected namespace {namespace.name!r} to have schema {SCHEMA_VERSION}, got {header.schema}: it was made "
            "by a newer lash-redis. Upgrade this program, or give it another namespace"
        )
    if header.schema < SCHEMA_VERSION:
        raise NamespaceMismatch(
            f"expected namespace {namespace.name!r} to have schema {SCHEMA_VERSION}, got {header.schema}: it was made "
            "by an older lash-redis, whose keys this one does not read. Give this program a new namespace and let the "
            "older release end the work of the old one, or delete the old one's keys if nothing of it is wanted"
        )
