"""Opening a namespace: what its headers must say, the same for both transports. Pure.

P, schema version and uuid stand in partition 0's header, first writer wins; the others carry copies, so that each
script checks its own partition (design, section 6).
"""

from __future__ import annotations

from collections.abc import Generator

from lash_redis.core.errors import NamespaceMismatch, SettingsError
from lash_redis.core.timing import random_token
from lash_redis.registry.call import Call
from lash_redis.registry.calls import Calls
from lash_redis.registry.keys import SCHEMA_VERSION

Header = tuple[str, int, int]


def opening(calls: Calls, *, adopt: bool) -> Generator[Call[Header | None], Header | None, None]:
    """Yield the calls that open a namespace, and take their answers; ``calls`` knows its uuid at the end.

    Args:
        calls: the builders; their partition count is what is expected.
        adopt: take the namespace as it is instead, and do not create one.

    Raises:
        NamespaceMismatch: another partition count, a newer schema, or headers that do not belong together.
        SettingsError: there is none to adopt.
    """
    header = yield calls.open(0, random_token(), SCHEMA_VERSION, create=not adopt)
    if header is None:
        raise SettingsError(f"expected namespace to be one that exists, got {calls.namespace!r}")
    uuid, partitions, schema = header
    if adopt:
        calls.partitions = partitions
    if partitions != calls.partitions:
        raise NamespaceMismatch(
            f"expected partitions to be {partitions}, as namespace {calls.namespace!r} was created with, "
            f"got {calls.partitions}; it is for ever (growing means a new namespace)"
        )
    _check_schema(calls.namespace, schema)
    for partition in range(1, partitions):
        copy = yield calls.open(partition, uuid, SCHEMA_VERSION, create=True)
        if copy is None or copy[0] != uuid:
            raise NamespaceMismatch(
                f"partition {partition} of namespace {calls.namespace!r} carries another header than partition 0 "
                "(was one of them flushed, or restored from a backup?)"
            )
    calls.uuid = uuid


def _check_schema(namespace: str, schema: int) -> None:
    if schema > SCHEMA_VERSION:
        raise NamespaceMismatch(
            f"expected namespace {namespace!r} to have schema {SCHEMA_VERSION} or older, got {schema}: "
            "it was created by a newer lash-redis"
        )
