"""Cases beside each other in one run: each measured in every round, in turn, and told as ratios to the first.

A ratio of rates is what a user sees, and moves with all that runs on the machine. The ratio of CPU is by the time of
the server and of the worker for each process, and moves less. Above 1 is better than the first case.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.server import Work

ROUNDS = int(os.environ.get("LASH_BENCH_ROUNDS", "5"))


@dataclass(frozen=True)
class Cost:
    """What one measurement took: how many processes, the time, and the work of the server and of this OS process."""

    count: int
    seconds: float
    commands: int
    scripts: int
    server_s: float
    own_s: float

    @property
    def rate(self) -> float:
        """Processes a second."""
        return self.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time of the server and of this OS process for each process, µs."""
        return 1e6 * (self.server_s + self.own_s) / self.count


class Stopwatch:
    """Measures from when it is made."""

    def __init__(self, url: str) -> None:
        self._work = Work(url)
        self._own = time.process_time()
        self._began = time.perf_counter()

    def stop(self, count: int) -> Cost:
        """Return what so many processes took."""
        seconds, own = time.perf_counter() - self._began, time.process_time() - self._own
        commands, cpu, _ = self._work.since()
        return Cost(count, seconds, commands, self._work.scripts(), cpu, own)


Case = Callable[[], Awaitable[Cost]]


async def compare(what: str, cases: Mapping[str, Case], rounds: int = ROUNDS) -> dict[str, list[Cost]]:
    """Measure the cases, and return what they took.

    Prints a table of what they do in a second, and as ratios to the first, each with its range.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            costs[name].append(await case())
    print(f"{what}. Rounds: {rounds}, each with all cases in turn.\n")
    print("| case | a second | ratio | ratio of CPU | commands | script calls | server CPU, µs | own CPU, µs |")
    print("|---|---|---|---|---|---|---|---|")
    first = next(iter(costs.values()))
    for name, measured in costs.items():
        pairs = list(zip(measured, first, strict=True))
        print(
            f"| {name} | {_median(measured, lambda cost: cost.rate):,.0f} "
            f"| {told([one.rate / other.rate for one, other in pairs])} "
            f"| {told([other.cpu_us / one.cpu_us for one, other in pairs])} "
            f"| {_median(measured, lambda cost: cost.commands / cost.count):.1f} "
            f"| {_median(measured, lambda cost: cost.scripts / cost.count):.2f} "
            f"| {_shown(_median(measured, lambda cost: 1e6 * cost.server_s / cost.count))} "
            f"| {_shown(_median(measured, lambda cost: 1e6 * cost.own_s / cost.count))} |"
        )
    print()
    return costs


def told(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median of some values and, in brackets, the least and the largest."""
    if min(values) == max(values):
        return f"{values[0]:{form}}"
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def ratio(costs: Sequence[Cost], others: Sequence[Cost], figure: Callable[[Cost], float]) -> str:
    """Return a figure of some costs as a part of the same of others, round by round, as text."""
    return told(ratios(costs, others, figure))


def ratios(costs: Sequence[Cost], others: Sequence[Cost], figure: Callable[[Cost], float]) -> list[float]:
    """Return a figure of some costs as a part of the same of others, of each round."""
    return [figure(one) / figure(other) for one, other in zip(costs, others, strict=True)]


def _shown(us: float) -> str:
    return f"{us:.0f}" if us >= 10 else f"{us:.2g}"


def _median(costs: Sequence[Cost], figure: Callable[[Cost], float]) -> float:
    return statistics.median(map(figure, costs))
