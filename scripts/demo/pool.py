"""The pool of the demo, started as a user would start it: by the command line, in an OS process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

from demo.run import POOL_LOG

GRACE_S = 1.5
WORKERS = 4


class Pool:
    """``lash-redis worker demo.tasks:lash`` as a child of the demo."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the pool; its output goes to the log."""
        with POOL_LOG.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "lash_redis", "worker", "demo.tasks:lash",
                "--workers", str(WORKERS), "--concurrency", "8", "--queues", "publish,measure", "--grace", str(GRACE_S),
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    async def stop(self) -> int:
        """Send SIGTERM, wait for the drain, and return the exit code."""
        if self._process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self._process.wait(), 60)
        self._process = None
        return code

    def stop_if_running(self) -> None:
        """Send SIGTERM if the pool still runs, without waiting; for a demo that failed."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    @property
    def has_ended(self) -> bool:
        """Whether the pool ended although nobody stopped it."""
        return self._process is not None and self._process.returncode is not None
