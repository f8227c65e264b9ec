"""What stands before a row of a sequence, and where the rows of a sequence must lie. Pure (rule 9.13)."""

from __future__ import annotations

from collections.abc import Sequence

from lash_redis.core.checks import refused
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.sequences import sequence_in
from lash_redis.registry.calls.call import Call, Namespace
from lash_redis.registry.keys import route_of


def first_of_sequence(namespace: Namespace, process_id: str) -> Call[str | None]:
    """Return the id of the first row of the sequence in which a process stands; None if it stands in none."""
    partition = namespace.partition_of(process_id)
    return Call("first_of_sequence", partition, [process_id], lambda reply: reply[1].decode() or None, word=b"FIRST")


def check_routes(registrations: Sequence[ProcessRegistration]) -> None:
    """Check that the rows of a sequence lie in one partition, where the namespace has several: their route is the key.

    Raises:
        SettingsError: one has another route.
    """
    for each in registrations:
        if sequence_in(each.scopes) and route_of(each.id) != each.key:
            advice = (
                "leave process_id out: the id is made so, if the key is of the characters that an id may have"
                if each.member_of is None
                else "the id of a member is made of its group's: give the group a process_id that begins so, if all of "
                "its members have this key; else submit them without a group, and wait with lash.gather"
            )
            raise refused(
                "the id of work in a sequence",
                f"one that begins with {f'{each.key}::'!r}",
                each.id,
                ": the namespace has several partitions, a process lies in that of what stands before '::' in its id, "
                f"and a sequence needs all work of a key in one ({advice})",
            )
