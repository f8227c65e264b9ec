"""A batch claim of a worker on its way, and answered."""

from __future__ import annotations

import msgspec

from lash_redis.core.schedules import DueSchedule
from lash_redis.registry.answers import BatchClaim, ClaimedRow


class SentClaim(msgspec.Struct):
    """A claim that may have been applied, and how many of its sendings failed."""

    claim: BatchClaim
    failures: int = 0


class Claimed(msgspec.Struct, frozen=True):
    """An answered claim, when the call that was answered was sent (boot-time clock, ms), and schedules to be ticked."""

    rows: list[ClaimedRow]
    claimed_at_ms: int
    expires_at_ms: int
    sent_at_ms: int
    schedules: list[DueSchedule] = []
