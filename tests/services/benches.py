"""Work under a test's control: it notes that it began, and ends when it is let go or made to stop."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict

from lash_redis.core.errors import StopRequested
from lash_redis.tasks.declaration import Declaration, declare

RERUNNABLE, OWNER_BOUND = "rerunnable", "owner_bound"


class Bench:
    """``async`` work: each piece waits at a gate that bears its name.

    Attributes:
        begun: the names of what began, in that order, once for each run.
        stopped: the names of what was made to stop.
        stays: names of work that catches the wish to stop and goes on.
    """

    def __init__(self, *, is_open: bool = False) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.stays: set[str] = set()
        self._is_open = is_open
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def task(self, recovery: str = RERUNNABLE, name: str = "work") -> Declaration:
        """Return the task that does this work."""

        async def work(piece: str) -> str:
            self.begun.append(piece)
            while not self._is_open and not self._gates[piece].is_set():
                try:
                    await self._gates[piece].wait()
                except asyncio.CancelledError:
                    self.stopped.append(piece)
                    if piece not in self.stays:
                        raise
            return f"{piece} done"

        return declare(work, recovery=recovery, name=name)

    def let_go(self, *pieces: str) -> None:
        """Let pieces of work end."""
        for piece in pieces:
            self._gates[piece].set()


class PlainBench:
    """The same in threads: work that looks at its gate over and over, so that an interrupt reaches it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.stays: set[str] = set()
        self.threads: set[int] = set()
        self._gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def task(self, recovery: str = RERUNNABLE, name: str = "plain") -> Declaration:
        """Return the task that does this work."""

        def work(piece: str) -> str:
            self.begun.append(piece)
            self.threads.add(threading.get_ident())
            gate = self._gates[piece]
            while not gate.is_set():
                try:
                    gate.wait(0.002)
                except StopRequested:
                    self.stopped.append(piece)
                    if piece not in self.stays:
                        raise
            return f"{piece} done"

        return declare(work, recovery=recovery, name=name)

    def let_go(self, *pieces: str) -> None:
        """Let pieces of work end."""
        for piece in pieces:
            self._gates[piece].set()
