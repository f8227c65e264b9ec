"""The policies of keyed lanes, which stand in every partition under their scopes. Pure (rule 9.12)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.events import LimitKept
from lash_redis.core.places import QUEUED
from lash_redis.core.policies import Policy, PolicyState, stored_policy
from lash_redis.core.subscribers import emit
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.calls.refusals import waits_for


def name_policies(namespace: Namespace, partition: int, policies: Sequence[Policy]) -> Call[list[Policy]]:
    """Store the share of a partition in some policies, at most 500; return what stands there then, in their order.

    A policy of a lower revision than the one that stands, or of the same, replaces nothing.

    Raises:
        SettingsError: a policy has less than one slot, or one start, for each partition.
    """
    args: list[Argument] = []
    for each in policies:
        args += [each.scope, each.share(partition, namespace.partitions)]

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
            ours = stored_policy(policy.scope, policy.share(partition, namespace.partitions))
            if stands.revision == ours.revision and stands != ours:
                kept[policy.scope] = stands
        namespace.policies.update((uuid, partition, each) for each in new)
    for policy in policies:
        if policy.scope in kept:
            emit(LimitKept(limit=policy.named, revision=policy.revision, declared=policy.text))


def limits(namespace: Namespace) -> Steps[list[PolicyState]]:
    """Return the policies that stand, by scope: the shares of all partitions together, and what waits for them."""
    found: dict[str, PolicyState] = {}
    for partition in range(namespace.partitions):
        for state in (yield from Call("read_policies", partition, [MAX_BATCH], _states, word=b"POLICIES")):
            before = found.get(state.policy.scope)
            found[state.policy.scope] = state if before is None else before.with_share(state)
    return [found[scope] for scope in sorted(found)]


def _states(reply: list[bytes]) -> list[PolicyState]:
    rows = [reply[at : at + 6] for at in range(1, len(reply), 6)]
    return [
        PolicyState(stored_policy(scope.decode(), text.decode()), *map(int, counts)) for scope, text, *counts in rows
    ]


def waits_for_limit(namespace: Namespace, process_id: str) -> Call[str]:
    """Return what a queued process of a keyed lane waits for, in words; empty if it waits for nothing of its key."""

    def in_words(reply: list[bytes]) -> str:
        return waits_for(QUEUED, reply[1].decode()) if reply[1] else ""

    return Call("waits", namespace.partition_of(process_id), [process_id], in_words, word=b"WAITING")
