"""Writes the tables and the pictures of docs/scaling.md, from the model and what was measured for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.scaling import MOST_SHARE, Constants, Fleet, load, most_workers, room

ROOT = Path(__file__).resolve().parents[2]
PAGE, PICTURES, KEPT = ROOT / "docs/scaling.md", ROOT / "docs/pictures", Path(__file__).with_name("scaling.json")
WORKERS = (100, 1_000, 10_000)
PLACES = (
    ("one server, 1 partition", Fleet(1)),
    ("one server, 16 partitions", Fleet(1, 16)),
    ("3 primaries, 64 partitions", Fleet(1, 64, 3)),
    ("6 primaries, 64 partitions", Fleet(1, 64, 6)),
)
SLOW = {"sweep_s": 60.0, "poll_s": 30.0}
SETTINGS: tuple[tuple[str, dict[str, float]], ...] = (("as set", {}), ("`--sweep 60 --poll 30`", SLOW))
MEANINGS = {
    "glance": "a sweep's first call, where nobody holds anything",
    "glance_held": "the same where somebody does",
    "holders": "reading whose death it could prove: the call",
    "holder": "and each owner in its answer: those of one machine",
    "claim": "a claim that gets nothing",
    "renewal": "a renewal: the call",
    "renewed_owner": "each owner in it",
    "lease": "each lease in it",
    "process": "one process: submitted, claimed, ended, in batches of 64",
}


def constants() -> Constants:
    """Return what was measured last."""
    return Constants(**json.loads(KEPT.read_text(encoding="utf-8")))


def parts(each: Constants) -> dict[str, list[str]]:
    """Return the generated parts of the page, by name."""
    return {
        "constants": [*_constants(each)],
        "fleets": [*_fleets(each)],
        "most": [*_most(each)],
    }


def _constants(each: Constants) -> Iterator[str]:
    yield from ("| what | server CPU, µs |", "|---|---|")
    for name, meaning in MEANINGS.items():
        yield f"| {meaning} | {getattr(each, name):.1f} |"
    yield ""
    yield (
        f"A worker process has {each.connections:.1f} connections, its part of the supervisor's included. "
        f"A queued row takes {each.row_bytes:.0f} bytes."
    )


def _fleets(each: Constants) -> Iterator[str]:
    heads = ("workers", "where", "settings", "share of each core", "of that: sweeps, polls, renewals")
    yield f"| {' | '.join(heads)} | processes a second | first to end |"
    yield "|---|---|---|---|---|---|---|"
    for workers in WORKERS:
        for where, fleet in PLACES:
            for settings, changed in SETTINGS:
                one = replace(fleet, workers=workers, **changed)  # type: ignore[arg-type]
                of = load(one, each)
                rate = room(one, each)
                yield (
                    f"| {workers:,} | {where} | {settings} | {of.fixed:.1%} "
                    f"| {of.sweeps:.1%}, {of.polls:.1%}, {of.renewals:.1%} "
                    f"| {f'{rate:,.0f}' if rate else 'none'} | {of.first_bottleneck} |"
                )


def _most(each: Constants) -> Iterator[str]:
    yield "| where | workers as set | workers with `--sweep 60 --poll 30` |"
    yield "|---|---|---|"
    for where, fleet in PLACES:
        counts = [most_workers(replace(fleet, **changed), each) for _, changed in SETTINGS]  # type: ignore[arg-type]
        yield f"| {where} | {counts[0]:,} | {counts[1]:,} |"


def filled(page: str, each: Constants) -> str:
    """Return the page with its generated parts made anew; the sentences around them stay."""
    for name, lines in parts(each).items():
        begin, end = f"<!-- {name}: written by scripts/scaling -->", f"<!-- end of {name} -->"
        head, found, rest = page.partition(begin)
        _, ended, tail = rest.partition(end)
        if not found or not ended:
            raise SystemExit(f"expected a pair of comments for {name} in the page, found none")
        page = "\n".join([f"{head}{begin}", *lines, f"{end}{tail}"])
    return page


def pictures(each: Constants) -> Iterator[dict[str, Any]]:
    """Yield what each picture shows."""
    at = [round(10 ** (1 + step / 20)) for step in range(61)]
    for settings, changed in SETTINGS:
        name = "scaling-workers" if not changed else "scaling-workers-slow"
        yield {
            "name": name, "kind": "lines", "at": at, "range": [0, 1],
            "title": f"What workers take of each primary's core before any work ({settings.replace('`', '')})",
            "across": "worker processes, 8 leases each", "up": "share of a core",
            "lines": [
                (where, [load(replace(fleet, workers=count, **changed), each).fixed for count in at])  # type: ignore[arg-type]
                for where, fleet in PLACES
            ],
        }  # fmt: skip
    yield {
        "name": "scaling-rates", "kind": "lines", "at": at, "range": [0, 1e-3 * 6.5 * MOST_SHARE * 1e6 / each.process],
        "title": "Processes a second that each place has room for (--sweep 60 --poll 30)",
        "across": "worker processes, 8 leases each", "up": "thousand processes a second",
        "lines": [
            (where, [room(replace(fleet, workers=count, **SLOW), each) / 1000 for count in at])  # type: ignore[arg-type]
            for where, fleet in PLACES
        ],
    }  # fmt: skip


def main() -> None:
    """Write the page and its pictures."""
    from benchmarks.report.charts import drawn  # noqa: PLC0415 - the tests need no pictures

    each = constants()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), each), encoding="utf-8")
    drawn([*pictures(each)], PICTURES)


if __name__ == "__main__":
    main()
