"""What a unique registration asks of the script that registers. Pure (rule 9.14)."""

from __future__ import annotations

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.sequences import sequence_in
from lash_redis.core.timing import wall_ms
from lash_redis.core.unique import Unique, unique_digest, unique_route
from lash_redis.registry.calls.call import Argument
from lash_redis.registry.codec import encode_values
from lash_redis.registry.keys import route_of


def unique_asks(
    registration: ProcessRegistration, task: str, unique: Unique, partitions: int
) -> tuple[str, list[Argument]]:
    """Return the name of a registration's unique key, and what it stores and asks for: name and value by turns.

    Raises:
        SettingsError: its id has another route than all that have this key, in a namespace with several partitions;
            or it stands in a sequence of another key.
    """
    key = unique.key or ""
    digest, route = unique_digest(task, key), unique_route(task, key)
    if partitions > 1 and route_of(registration.id) != route:
        # Also if both lie in one partition by chance: what is refused must not depend on the argument.
        places = f"the namespace has {partitions} partitions"
        if sequence_in(registration.scopes):
            raise SettingsError(
                f"expected the unique key of work in a sequence to be its key there, {registration.key!r}, got "
                f"{key!r}: {places}, and all work of either key stands in one; let both be the same argument"
            )
        raise SettingsError(
            f"expected the id of a process with unique key {key!r} to begin with {route + '::'!r}, got "
            f"{registration.id!r}: {places}, and processes of one key must stand in one; leave the process id out, "
            "and it gets that route"
        )
    words = f"{unique.counts_until} {unique.on_duplicate} {unique.within_ms} {unique.longest_ms}"
    asked: list[Argument] = [b"uq", digest, b"+un", words]
    if unique.on_duplicate == "replace":
        asked += [b"+ur", encode_values("unique", wall_ms(), f"replaced by {registration.id}")]
    return digest, asked
