"""Run the named measurements, or all of them, and write the report."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import re
import sys
import traceback

from benchmarks import results

# What the goals need; half an hour, and ten minutes of waiting for the faults.
GOALS = (
    "side_by_side",
    "ceiling",
    "floor",
    "faults",
    "memory",
    "startup",
    "recovery",
    "idle",
    "renewals",
    "sweeps",
    "million",
    "scale",
)
# What the options of a task cost.
OPTIONS = (
    "keyed",
    "fair",
    "parked",
    "delayed",
    "submits",
    "groups",
    "schedules",
    "retention",
    "fragments",
    "turns",
)
NAMES = GOALS + OPTIONS


def main(arguments: list[str]) -> int:
    """Run the measurements; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--quick", action="store_true", help="three minutes: lash-redis, BullMQ, SAQ and Huey")
    parser.add_argument("--all", action="store_true", help="what the options of a task cost, too")
    parser.add_argument("--report", action="store_true", help="write the report of what was measured before")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(NAMES))
        return 0
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"expected one of {', '.join(NAMES)}, got {unknown[0]!r}")
    for name in ("LASH_BENCH_ROUNDS", "LASH_BENCH_ROWS"):
        if not re.fullmatch("[1-9][0-9]*", value := os.environ.get(name, "1")):
            parser.error(f"expected ${name} to be a number from 1 on, got {value!r}")
    chosen = [f"--{name}" for name in ("quick", "all", "report") if getattr(options, name)]
    if len(chosen) > 1 or (chosen and options.names):
        given = " ".join([*chosen, *options.names])
        parser.error(f"expected --quick, --all, --report or names of parts, got {given!r}: run one after the other")
    logging.getLogger("lash_redis").addHandler(logging.NullHandler())  # nobody serves what waits for its drain
    failed = []
    if options.quick:
        importlib.import_module("benchmarks.side_by_side").measure_quick()
    elif not options.report:
        if not options.names:
            results.clear()  # the report is of one run
        for name in options.names or (NAMES if options.all else GOALS):
            print(f"== {name}", flush=True)
            try:
                asyncio.run(importlib.import_module(f"benchmarks.{name}").measure())
            except (Exception, SystemExit):  # noqa: BLE001 - the others are measured all the same
                traceback.print_exc()
                failed.append(name)
    kept = importlib.import_module("benchmarks.report.kept").Kept
    importlib.import_module("benchmarks.report.writing").write(
        kept(results.load_quick() if options.quick else results.load()),
        into_docs=options.report or not (options.names or options.quick),
    )
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
