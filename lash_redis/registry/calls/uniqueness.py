"""What a unique registration asks of the script that registers. Pure (rule 9.14)."""

from __future__ import annotations

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.timing import wall_ms
from lash_redis.core.unique import Unique, route_of, unique_digest
from lash_redis.registry.calls.call import Argument
from lash_redis.registry.codec import encode_values
from lash_redis.registry.keys import partition_of


def unique_asks(
    registration: ProcessRegistration, task: str, unique: Unique, partitions: int
) -> tuple[str, list[Argument]]:
    """Return the name of a registration's unique key, and what it stores and asks for: name and value by turns.

    Raises:
        SettingsError: its id has another route than all that have this key, in a namespace with several partitions.
    """
    key = unique.key or ""
    digest, route = unique_digest(task, key), route_of(task, key)
    if partitions > 1:
        here = partition_of(registration.id, partitions)
        if here != partition_of(f"{route}::", partitions):
            raise SettingsError(
                f"expected the id of a process with unique key {key!r} to begin with {route + '::'!r}, got "
                f"{registration.id!r}: the namespace has {partitions} partitions, and processes of one key "
                "must stand in one; leave the process id out, and it gets that route"
            )
    words = f"{unique.counts_until} {unique.on_duplicate} {unique.within_ms} {unique.longest_ms}"
    asked: list[Argument] = [b"uq", digest, b"+un", words]
    if unique.on_duplicate == "replace":
        asked += [b"+ur", encode_values("unique", wall_ms(), f"replaced by {registration.id}")]
    return digest, asked
