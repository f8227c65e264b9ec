"""What was measured, by name: the values of the quiet rounds, their median and range, and ratios within a round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.results import SIDE, Values, median

LASH = "lash-redis"
ENOUGH_QUIET = 3


class Kept:
    """The results of all parts.

    Args:
        results: of each part what ``results.load`` returns.
    """

    def __init__(self, results: Mapping[str, Mapping[str, Any]]) -> None:
        self._results = results
        self.side: Mapping[str, Any] = results.get(SIDE, {})

    def values(self, part: str, name: str) -> Values:
        """Return the values of a figure; none if it was not measured."""
        return list(self._results.get(part, {}).get("figures", {}).get(name, []))

    def named(self, part: str, end: str) -> list[str]:
        """Return the names of a part's figures that end so, without that end."""
        names = self._results.get(part, {}).get("figures", {})
        return [name.removesuffix(end) for name in names if name.endswith(end)]

    def of(self, server: str, peer: str, case: str, what: str) -> Values:
        """Return the values of a peer in the rounds that count, one for each."""
        found = self.values(SIDE, f"{server}|{peer}|{case}|{what}")
        return [value for value, counts in zip(found, self.counted, strict=False) if counts]

    @property
    def faults(self) -> list[str]:
        """The tables of the faults; empty if they were not measured."""
        return list(self._results.get("faults", {}).get("lines", []))

    @property
    def counted(self) -> list[bool]:
        """Of each round whether it counts: all do, unless enough of them were quiet."""
        quiet = [each["quiet"] for each in self.side.get("rounds", [])]
        return quiet if sum(quiet) >= ENOUGH_QUIET else [True] * len(quiet)

    @property
    def servers(self) -> dict[str, str]:
        """The servers of that run; the first is the one on which all peers were measured."""
        return dict(self.side.get("servers", {}))

    @property
    def main(self) -> str:
        """The server on which all peers were measured."""
        return next(iter(self.servers), "")

    @property
    def peers(self) -> list[str]:
        """The names of the peers of that run."""
        return [each["name"] for each in self.side.get("peers", [])]


def told(values: Values, form: str = ",.2f") -> str:
    """Return the median of some values and, in brackets, their range; a dash if there are none."""
    known = [each for each in values if each is not None]
    middle = median(known)
    if middle is None:
        return "–"
    least, middle_text, largest = (format(each, form) for each in (min(known), middle, max(known)))
    return middle_text if least == largest else f"{middle_text} ({least} to {largest})"
