"""What a unique registration asks of the script that registers. Pure (rule 9.14)."""

from __future__ import annotations

from typing import Final

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.sequences import sequence_in
from lash_redis.core.timing import wall_ms
from lash_redis.core.unique import Unique, unique_digest, unique_route
from lash_redis.registry.calls.call import Argument
from lash_redis.registry.codec import encode_values
from lash_redis.registry.keys import route_of
from lash_redis.registry.rows import Row

# Who asks that a process that is replaced be cancelled, and why.
_ASKER: Final = "unique"
_REPLACED_BY: Final = "replaced by "


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
        asked += [b"+ur", encode_values(_ASKER, wall_ms(), f"{_REPLACED_BY}{registration.id}")]
    return digest, asked


def asks_once_more(digest: str) -> tuple[str, list[Argument]]:
    """Return the same of a replay, by the key of the row that it replays, which does not say what its submit asked.

    Another one that has not ended is left as it is, and the replay is answered with it.
    """
    return digest, [b"uq", digest, b"+un", "end existing 0 0"]


def unique_key_of(row: Row) -> str:
    """Return the digest of the unique key of a row, empty if it has none."""
    return row.fields.get(b"uq", b"").decode()


def was_replaced(row: Row) -> bool:
    """Say whether a row was cancelled for a later one of its unique key."""
    request = row.cancel_request
    if request is None or not row.is_terminal or not unique_key_of(row):
        return False
    return request.requested_by == _ASKER and (request.reason or "").startswith(_REPLACED_BY)
