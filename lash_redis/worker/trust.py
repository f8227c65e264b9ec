"""The trust window: until when a holder may act on its lease, by its own clock since boot (rule 6.1). Pure."""

from __future__ import annotations


def margin_ms(ttl_ms: int) -> int:
    """Return how long before its expiry a lease is no longer trusted: the larger of 10 % and 500 ms."""
    return max(ttl_ms // 10, 500)


def trusted_until_ms(sent_at_ms: int, ttl_ms: int) -> int:
    """Return until when a lease is trusted that a claim or renewal granted, which was sent at ``sent_at_ms``."""
    return sent_at_ms + ttl_ms - margin_ms(ttl_ms)
