"""Which no-ops ran, by the files that the workers wrote, and whether each ran one time, no more and no less."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_SIZE = struct.calcsize("<q")


@dataclass(frozen=True)
class Proof:
    """How the identities that ran differ from those that were submitted.

    Attributes:
        count: how many were submitted.
        lost: those that did not run.
        doubled: those that ran more than once.
        foreign: those that ran and were not submitted.
    """

    count: int
    lost: tuple[int, ...]
    doubled: tuple[int, ...]
    foreign: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """True if each ran one time, no more and no less, and nothing else did."""
        return not (self.lost or self.doubled or self.foreign)

    def __str__(self) -> str:
        if self.holds:
            return f"each of {self.count:,} identities ran one time, no more and no less"
        wrong = (("lost", self.lost), ("ran twice", self.doubled), ("foreign", self.foreign))
        parts = [f"{len(which):,} {what} ({', '.join(map(str, which[:5]))})" for what, which in wrong if which]
        return f"of {self.count:,} identities {'; '.join(parts)}"


def so_far(folder: Path) -> int:
    """Return how many runs are noted in a folder."""
    return sum(each.stat().st_size for each in folder.iterdir()) // _SIZE


def noted(folder: Path) -> list[int]:
    """Return the identities that are noted in a folder, in no order."""
    found: list[int] = []
    for each in folder.iterdir():
        data = each.read_bytes()
        found += struct.unpack(f"<{len(data) // _SIZE}q", data[: len(data) // _SIZE * _SIZE])
    return found


def proof(submitted: range, ran: list[int]) -> Proof:
    """Compare what ran with what was submitted."""
    times = Counter(ran)
    return Proof(
        count=len(submitted),
        lost=tuple(each for each in submitted if each not in times),
        doubled=tuple(sorted(each for each, runs in times.items() if runs > 1)),
        foreign=tuple(sorted(each for each in times if each not in submitted)),
    )
