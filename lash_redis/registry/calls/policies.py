"""The policies of keyed lanes, which stand in every partition under their scopes. Pure (rule 9.12)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.events import LimitKept
from lash_redis.core.places import QUEUED
from lash_redis.core.policies import Policy
from lash_redis.core.subscribers import emit
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.calls.refusals import waits_for
from lash_redis.registry.policy_states import (
    KeyState,
    KeyStates,
    PolicyState,
    policy_text,
    stored_otherwise,
    stored_policy,
)

_PAGE: Final = 50
_END: Final = "0"  # of the pages, and where the first one begins


def name_policies(namespace: Namespace, partition: int, policies: Sequence[Policy]) -> Call[list[Policy]]:
    """Store the share of a partition in some policies, at most 500; return what stands there then, in their order.

    A policy of a lower revision than the one that stands, or of the same, replaces nothing.

    Raises:
        SettingsError: a policy has less than one slot, or one start, for each partition.
    """
    args: list[Argument] = []
    for each in policies:
        args += [each.scope, policy_text(each.part_of(partition, namespace.partitions))]

    def stand(reply: list[bytes]) -> list[Policy]:
        return [stored_policy(each.scope, text.decode()) for each, text in zip(policies, reply[1:], strict=True)]

    return Call("name_policies", partition, args, stand, word=b"NAMED")


def policies_named(
    namespace: Namespace, policies: Sequence[Policy], partitions: Iterable[int] | None = None
) -> Steps[None]:
    """Store policies in those partitions, or all (None), in which this client has not stored them yet.

    Where another one of the same revision stands, it stays, and ``limit.kept`` is told.

    Raises:
        SettingsError: a policy has less than one slot, or one start, for each partition.
    """
    if not policies:
        return
    uuid = namespace.uuid  # another server, or the same one after a flush, knows none of them
    kept: dict[str, Policy] = {}
    for partition in range(namespace.partitions) if partitions is None else partitions:
        new = [each for each in policies if (uuid, partition, each) not in namespace.policies]
        if not new:
            continue
        stand = yield from name_policies(namespace, partition, new)
        for policy, stands in zip(new, stand, strict=True):
            ours = policy.part_of(partition, namespace.partitions)
            if stands.revision == ours.revision and stands != ours:
                kept[policy.scope] = stands
        namespace.policies.update((uuid, partition, each) for each in new)
    for policy in policies:
        if policy.scope in kept:
            emit(LimitKept(limit=policy.named, revision=policy.revision, declared=policy.text))


def limits(namespace: Namespace, *scopes: str) -> Steps[list[PolicyState]]:
    """Return policies that stand, by scope: the shares of all partitions together, and what waits for them.

    Args:
        namespace: where they stand.
        scopes: of these, at most 500; none: of all.
    """
    found: dict[str, PolicyState] = {}
    for partition in range(namespace.partitions):
        here: dict[str, PolicyState] = {}
        following, is_read = _END, False
        while following != _END or not is_read:
            args: list[Argument] = [following, _PAGE, *scopes]
            following, page = yield from Call("read_policies", partition, args, _states, word=b"POLICIES")
            here |= {state.policy.scope: state for state in page}
            is_read = True
        for scope, state in here.items():
            found[scope] = found[scope].with_share(state) if scope in found else state
    return [found[scope] for scope in sorted(found)]


def _states(reply: list[bytes]) -> tuple[str, list[PolicyState]]:
    states = []
    for at in range(2, len(reply), 6):
        scope, text = reply[at].decode(), reply[at + 1].decode()
        taken, waiting, running, parked = map(int, reply[at + 2 : at + 6])
        states.append(
            PolicyState(stored_policy(scope, text), taken, waiting, running, parked, stored_otherwise(scope, text))
        )
    return reply[1].decode(), states


def keys_of_limit(namespace: Namespace, scope: str, most: int = MAX_BATCH) -> Steps[KeyStates]:
    """Return keys with rows that wait for a limit by key, those with the most slots and starts first.

    At most so many are read in each partition, those of which no row may start first.
    """
    found: dict[str, KeyState] = {}
    unread = 0
    for partition in range(namespace.partitions):
        left, here = yield from Call("keys_of_limit", partition, [scope, most], _keys, word=b"OF_KEYS")
        unread += left
        for key, state in here.items():
            found[key] = found[key].with_share(state) if key in found else state
    states = sorted(found.values(), key=lambda each: (-each.taken, -each.starts, each.key))
    return KeyStates(states, len(states) + unread)


def _keys(reply: list[bytes]) -> tuple[int, dict[str, KeyState]]:
    """Return how many keys were not read, in each lane by itself, and those that were."""
    found: dict[str, KeyState] = {}
    for at in range(2, len(reply), 5):
        key = reply[at].decode("utf-8", "backslashreplace")
        taken, uncertain, starts = map(int, reply[at + 1 : at + 4])
        why, _, detail = reply[at + 4].decode().partition(" ")
        if key not in found or (why and not found[key].why):  # one that stands in several lanes has the same slots
            found[key] = KeyState(key, taken, uncertain, starts, why, detail)
    return int(reply[1]) - (len(reply) - 2) // 5, found


def waits_for_limit(namespace: Namespace, process_id: str) -> Call[str]:
    """Return what a queued process of a keyed lane waits for, in words; empty if it waits for nothing of its key."""

    def in_words(reply: list[bytes]) -> str:
        return waits_for(QUEUED, reply[1].decode()) if reply[1] else ""

    return Call("waits", namespace.partition_of(process_id), [process_id], in_words, word=b"WAITING")
