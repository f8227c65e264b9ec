"""In a peer's worker: notes which no-ops ran. It imports the standard library alone, as all peers must be able to."""

from __future__ import annotations

import atexit
import os
import struct
import threading
import time
from pathlib import Path

FULL, FLUSH_S = 256, 0.02


class Identities:
    """The identities of the runs of this OS process, and of each child that is forked from it.

    Args:
        folder: where each OS process writes a file of its own.
        at_once: write each by itself, as an OS process must that ends with its one job.
    """

    def __init__(self, folder: str, *, at_once: bool = False) -> None:
        self._folder = Path(folder)
        self._full = 1 if at_once else FULL
        self._pid = 0
        self._file = -1
        self._noted: list[int] = []
        self._writing = threading.Lock()

    def ran(self, identity: int) -> None:
        """Note a run. Any thread may call it."""
        if self._pid != os.getpid():
            self._begin()
        self._noted.append(identity)
        if len(self._noted) >= self._full:
            self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        with self._writing:
            count = len(self._noted)
            noted = self._noted[:count]
            del self._noted[:count]  # what other threads append meanwhile stays
            if noted:
                os.write(self._file, struct.pack(f"<{count}q", *noted))

    def _begin(self) -> None:
        """Take up a file in an OS process that has none yet."""
        with self._writing:
            if self._pid == os.getpid():
                return
            self._noted = []
            self._file = os.open(self._folder / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self._pid = os.getpid()
        if self._full > 1:
            atexit.register(self.flush)
            threading.Thread(target=self._flush_often, daemon=True).start()

    def _flush_often(self) -> None:
        while True:
            time.sleep(FLUSH_S)
            if self._noted:
                self.flush()
