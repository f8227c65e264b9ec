"""What a million queued rows cost, beside a thousand: memory of each, the first claim, and server CPU of claims."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median

from benchmarks import results
from benchmarks.comparing import told
from benchmarks.filled import FEW, MANY, Filled, filled
from benchmarks.server import Work
from benchmarks.transitions import SIGNATURE, claim

ROUNDS, CLAIMS, SIZE = 9, 4, 20


async def _first_ms(lane: Filled) -> float:
    began = time.perf_counter()
    await claim(lane.registry, lane.next_claim, SIZE, SIGNATURE)
    return 1000 * (time.perf_counter() - began)


async def _claim_us(lane: Filled, first: int) -> float:
    """Return the server CPU for each row of some claims."""
    work = Work(lane.url)
    for number in range(first, first + CLAIMS):
        leases = await claim(lane.registry, number, SIZE, SIGNATURE)
        if len(leases) != SIZE:
            raise SystemExit(f"expected {SIZE} rows, got {len(leases)}")
    return 1e6 * work.since()[1] / CLAIMS / SIZE


async def measure() -> None:
    """Print a table with both, and the ratios."""
    async with filled(FEW) as few, filled(MANY) as lots:
        first = [await _first_ms(lane) for lane in (few, lots)]
        claims: list[list[float]] = [[], []]
        for number in range(ROUNDS):
            for costs, lane in zip(claims, (few, lots), strict=True):
                costs.append(await _claim_us(lane, lane.next_claim + 1 + number * CLAIMS))
    sizes = [few.size, lots.size]
    print(
        f"{FEW:,} queued rows, and {MANY:,} in another server; {ROUNDS} rounds of {CLAIMS} claims of {SIZE}, in turn.\n"
    )
    print(f"| what | {FEW:,} | {MANY:,} | ratio |")
    print("|---|---|---|---|")
    ratios = [other / one for one, other in zip(*claims, strict=True)]
    _row("bytes a queued row", sizes, told([sizes[1] / sizes[0]]), ".0f")
    _row("ms of the first claim", first, told([first[1] / first[0]]), ".1f")
    _row("server CPU for each claimed row, µs", [median(each) for each in claims], told(ratios), ".0f")
    print()
    results.save(
        "million",
        {"cost_ratio": max(sizes[1] / sizes[0], median(ratios)), "first_claim_ratio": first[1] / first[0]},
    )


def _row(what: str, pair: Sequence[float], ratio: str, form: str) -> None:
    print(f"| {what} | {pair[0]:{form}} | {pair[1]:{form}} | {ratio} |")


if __name__ == "__main__":
    asyncio.run(measure())
