"""One pure builder a transition: arguments in, a ``Call`` out, whose ``decode`` makes a value or an error of the reply.

No I/O here, so that the async and the plain transport carry the same calls (design, section 9). A call looks at
unknown, then terminal, then authority, then lease, and raises the first that fails (design, section 10).
"""

from __future__ import annotations

from lash_redis.registry.fact_calls import FactCalls
from lash_redis.registry.lease_calls import LeaseCalls
from lash_redis.registry.row_calls import RowCalls


class Calls(RowCalls, LeaseCalls, FactCalls):
    """All builders, for one namespace."""
