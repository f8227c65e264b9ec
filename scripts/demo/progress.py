"""A progress line: redrawn on a terminal, printed every 3 s elsewhere."""

from __future__ import annotations

import asyncio
import shutil
import sys

from lash_redis import ProcessRegistry
from lash_redis.core.places import LEASED


class Progress:
    """Draws the counts of the registry; ``note`` prints a line above them."""

    def __init__(self, registry: ProcessRegistry, files: int, packages: int) -> None:
        self._registry = registry
        self._files = files
        self._packages = packages
        self._live = sys.stdout.isatty()

    async def run(self) -> None:
        """Redraw until cancelled."""
        while True:
            await self.draw()
            await asyncio.sleep(0.2 if self._live else 3)

    async def draw(self) -> None:
        """Read the counts and draw once."""
        text = await self.read()
        if self._live:
            # A line that wraps could not be overwritten.
            print(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        else:
            print(text, flush=True)

    async def read(self) -> str:
        """Read the counts, and return them as a line."""
        counts = await self._registry.counts(0)
        ended = {(task.rpartition(".")[2], state): number for (task, state), number in counts.terminal.items()}
        measured = ended.get(("measure", "completed"), 0)
        share = measured / self._files
        bar = "█" * round(share * 24)
        return (
            f"[{bar:·<24}] measured {measured}/{self._files}  "
            f"published {ended.get(('publish', 'completed'), 0)}/{self._packages}  "
            f"abandoned {ended.get(('publish', 'abandoned'), 0)}  running {counts.sizes[LEASED.index]}  "
            f"queued {sum(counts.lanes.values())}"
        )

    def note(self, text: str) -> None:
        """Print a line about an event."""
        print(f"{chr(13) + chr(27) + '[K' if self._live else ''}{text}", flush=True)
