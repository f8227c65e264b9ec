"""Storing what stands in the registry before the first row that names it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lash_redis.core.terms import Terms
from lash_redis.registry.calls.bounding import bounds_stored
from lash_redis.registry.calls.call import Namespace, Steps
from lash_redis.registry.calls.policies import policies_named
from lash_redis.registry.calls.signatures import signatures_named


def terms_stored(namespace: Namespace, terms: Terms, partitions: Iterable[int] | None = None) -> Steps[None]:
    """Store what this client has not stored yet: in those partitions, or in all (None). A bound is stored in all.

    What stands under a higher revision stays, and so does other content of the same one, of which is told.

    Raises:
        SettingsError: a bound or a policy has less than one for each partition, or too many queues are bounded.
    """
    yield from bounds_stored(namespace, terms.bounds)
    chosen = range(namespace.partitions) if partitions is None else sorted(partitions)
    yield from signatures_named(namespace, chosen, terms.signatures)
    yield from policies_named(namespace, terms.policies, chosen)
