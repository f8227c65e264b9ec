"""The policies of keyed lanes, which stand in every partition under their scopes. Pure (rule 9.12)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lash_redis.core.policies import Policy, StoredPolicy, stored_policy
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps


def name_policies(namespace: Namespace, partition: int, policies: Sequence[Policy]) -> Call[list[StoredPolicy]]:
    """Store the share of a partition in some policies, at most 500; return what stands there then, in their order.

    A policy of a lower revision than the one that stands, or of the same, replaces nothing.

    Raises:
        SettingsError: a policy has less than one slot, or one start, for each partition.
    """
    args: list[Argument] = []
    for each in policies:
        args += [each.scope, each.share(partition, namespace.partitions)]

    def stand(reply: list[bytes]) -> list[StoredPolicy]:
        return [stored_policy(each.scope, text.decode()) for each, text in zip(policies, reply[1:], strict=True)]

    return Call("name_policies", partition, args, stand, word=b"NAMED")


def policies_named(
    namespace: Namespace, partitions: Iterable[int], policies: Sequence[Policy]
) -> Steps[list[StoredPolicy]]:
    """Store policies in those partitions in which this client has not stored them yet.

    Return those that stand and are others than what was to be stored, one for each scope: they have this revision with
    other content, or a higher one.
    """
    uuid = namespace.uuid  # another server, or the same one after a flush, knows none of them
    others: dict[str, StoredPolicy] = {}
    for partition in partitions:
        new = [each for each in policies if (uuid, partition, each) not in namespace.policies]
        if not new:
            continue
        stand = yield from name_policies(namespace, partition, new)
        for policy, stands in zip(new, stand, strict=True):
            if stands != stored_policy(policy.scope, policy.share(partition, namespace.partitions)):
                others.setdefault(policy.scope, stands)
        namespace.policies.update((uuid, partition, each) for each in new)
    return list(others.values())
