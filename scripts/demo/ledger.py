"""The ledger: a file outside Redis, in which the tasks say what they do. It is the other witness of the report."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from demo.run import LEDGER


def write(what: str, name: str, pid: int | None = None) -> None:
    """Add a line: what was done, to what, and by which OS process (None: this one)."""
    with LEDGER.open("a", encoding="utf-8") as lines:
        lines.write(f"{what}\t{name}\t{os.getpid() if pid is None else pid}\n")


class Ledger:
    """What the lines of a ledger say, in their order."""

    def __init__(self, path: Path = LEDGER) -> None:
        self._lines = [line.split("\t") for line in path.read_text("utf-8").splitlines()]

    def names(self, what: str) -> Counter[str]:
        """Return how often each name has a line of that kind."""
        return Counter(name for kind, name, _ in self._lines if kind == what)

    def most_at_once(self) -> tuple[int, int]:
        """Return how many publications ran at once at most, and how many the killed OS processes were in.

        A publication begins with its line ``begin``, and ends with its line ``end`` or with the line ``killed`` of its
        OS process.
        """
        running: set[tuple[str, str]] = set()
        most = interrupted = 0
        for kind, name, pid in self._lines:
            if kind == "begin":
                running.add((name, pid))
            elif kind == "end":
                running.discard((name, pid))
            elif kind == "killed":
                lost = {each for each in running if each[1] == pid}
                interrupted += len(lost)
                running -= lost
            most = max(most, len(running))
        return most, interrupted
