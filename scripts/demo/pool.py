"""The pool of the demo, as a user would start it: the command line, in an OS process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

GRACE_S = 1.5
WORKERS = 4


class Pool:
    """``lash-redis worker demo.tasks:lash`` and what becomes of it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; what it says goes to the log."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "lash_redis", "worker", "demo.tasks:lash",
                "--workers", str(WORKERS), "--concurrency", "8", "--queues", "publish,measure", "--grace", str(GRACE_S),
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    async def stop(self) -> int:
        """Send SIGTERM, let it drain, and return its exit code."""
        if self._process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self._process.wait(), 60)
        self._process = None
        return code

    def kill_if_left(self) -> None:
        """End what is left of it, when the demo itself fails: its workers drain when they miss it."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    @property
    def has_ended(self) -> bool:
        """It ended although nobody stopped it."""
        return self._process is not None and self._process.returncode is not None
