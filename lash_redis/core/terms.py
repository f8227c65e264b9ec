"""What stands in the registry before the first row that names it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from lash_redis.core.bounds import QueueBound
from lash_redis.core.policies import Policy


class Terms(msgspec.Struct, frozen=True):
    """What code declares and the registry keeps, beside the processes that it is about.

    Attributes:
        signatures: the parameters of tasks, encoded, by digest, so that other releases can run the rows (rule 9.7).
        bounds: how many processes may wait in a queue (rule 9.11).
        policies: what keys and limits allow (rule 9.12).
    """

    signatures: Mapping[str, bytes] = {}
    bounds: Sequence[QueueBound] = ()
    policies: Sequence[Policy] = ()


NO_TERMS: Final = Terms()
