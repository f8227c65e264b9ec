"""Which claims ask to be remembered. The owner and its list of lanes are noted every few seconds, not at each one."""

from __future__ import annotations

from lash_redis.registry.answers import BatchClaim

_EVERY_MS = 2_000  # the notes count for a minute at least (rules 9.4 and 9.8)


class Remembering:
    """Says of each claim of one owner whether it asks for that. Times are of the boot-time clock, ms."""

    def __init__(self) -> None:
        self._noted: dict[int, tuple[str, int]] = {}  # by partition: with which list, and when

    def is_due(self, partition: int, lanes_name: str, now_ms: int) -> bool:
        """Say whether the next claim in a partition is to ask for it."""
        name, noted_ms = self._noted.get(partition, ("", 0))
        return name != lanes_name or now_ms >= noted_ms + _EVERY_MS

    def noted_ms(self, partition: int) -> int | None:
        """Return when the last claim was sent that a partition remembers; None if there is none."""
        return self._noted[partition][1] if partition in self._noted else None

    def answered(self, claim: BatchClaim, sent_ms: int) -> None:
        """Note that a claim that was sent then has its answer."""
        if claim.remembers:
            self._noted[claim.partition] = (claim.served.name, sent_ms)

    def forget(self, partition: int) -> None:
        """Have the next claim ask: the server may have become another one, or the list was given up."""
        self._noted.pop(partition, None)
