"""Run the named measurements, or all of them."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys

NAMES = (
    "ceiling",
    "floor",
    "memory",
    "startup",
    "recovery",
    "keyed",
    "fair",
    "parked",
    "delayed",
    "submits",
    "groups",
    "schedules",
    "retention",
    "fragments",
)


def main(names: list[str]) -> int:
    """Run the measurements; return the exit code."""
    if names == ["--list"]:
        print("\n".join(NAMES))
        return 0
    logging.getLogger("lash_redis").addHandler(logging.NullHandler())  # nobody serves what waits for its drain
    for name in names or NAMES:
        if name not in NAMES:
            print(f"expected one of {', '.join(NAMES)}, got {name!r}", file=sys.stderr)
            return 2
        print(f"== {name}")
        asyncio.run(importlib.import_module(f"benchmarks.{name}").measure())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
