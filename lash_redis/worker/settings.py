"""What one worker is told: queues, width, times. Checked once, in one place."""

from __future__ import annotations

import msgspec

from lash_redis.core.checks import DEFAULT_LEASE_TTL_MS, MAX_TTL_MS, checked_int, checked_queue
from lash_redis.core.errors import SettingsError


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one worker; times in ms.

    Attributes:
        queues: served in this order.
        concurrency: runs at a time, 1 to 10,000.
        lease_ttl_ms: at least 1,000; renewed each third of it.
        grace_ms: how long a drain lets work finish.
        cancel_ms: how long it then waits for what it interrupted.
        drain_ms: how long it then has for its last writes.
        sweep_ms: between two recovery passes, ± 20 %.
        poll_ms: between two claims when nothing wakes it, ± 33 %.

    Raises:
        SettingsError: a value is outside what is allowed.
    """

    queues: tuple[str, ...] = ("default",)
    concurrency: int = 64
    lease_ttl_ms: int = DEFAULT_LEASE_TTL_MS
    grace_ms: int = 20_000
    cancel_ms: int = 3_000
    drain_ms: int = 4_000
    sweep_ms: int = 5_000
    poll_ms: int = 7_500

    def __post_init__(self) -> None:
        if not self.queues:
            raise SettingsError("expected queues to name at least one queue, got none")
        for queue in self.queues:
            checked_queue(queue)
        if len(set(self.queues)) != len(self.queues):
            raise SettingsError(f"expected queues to be distinct, got {','.join(self.queues)}")
        checked_int("concurrency", self.concurrency, at_least=1, at_most=10_000)
        checked_int("lease_ttl_ms", self.lease_ttl_ms, at_least=1_000, at_most=MAX_TTL_MS)
        for name in ("grace_ms", "cancel_ms", "drain_ms"):
            checked_int(name, getattr(self, name), at_least=0, at_most=24 * 3600 * 1000)
        for name in ("sweep_ms", "poll_ms"):
            checked_int(name, getattr(self, name), at_least=10, at_most=3600 * 1000)

    @property
    def must_allow_s(self) -> int:
        """Seconds to allow before killing what drains: all phases and a margin (design, section 5)."""
        return -(-(self.grace_ms + self.cancel_ms + self.drain_ms) // 1000) + 3
