"""lash-redis and other queues in one run, on the same work: rounds of all of them in turn, each after a calibration."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import redis

from benchmarks import results
from benchmarks.comparing import ROUNDS
from benchmarks.peers.calibration import calibrate, quiet
from benchmarks.peers.conversation import UnsupportedError
from benchmarks.peers.description import description
from benchmarks.peers.environments import MissingError, command
from benchmarks.peers.measuring import Figures, Sizes, cases
from benchmarks.peers.running import BrokenError
from benchmarks.peers.table import PEERS, Peer
from benchmarks.report.kept import Kept
from benchmarks.report.tables import side_by_side
from benchmarks.server import binaries, loopback_server, version

BUDGET_S = 22 * 60
QUICK_BUDGET_S, QUICK_ROUNDS, QUICK_DRAIN_S, QUICK_ROWS = 150, 3, 1.0, 30_000
COMPARED_ON_BOTH = ("drain", "best", "memory")
# What needs fewer rounds: bytes do not vary, and of peers that are far off a rough figure will do.
MEMORY_ROUNDS, OTHERS_ROUNDS = 2, 2


@dataclass
class Run:
    """One run: which peers, on which servers, within what time, and what was found."""

    peers: list[Peer]
    servers: dict[str, str]
    rounds: int
    budget_s: float
    sizes: Sizes
    figures: dict[str, list[float | None]] = field(default_factory=dict)
    calibrations: list[dict[str, float]] = field(default_factory=list)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)

    def measure(self) -> None:
        """Measure round after round, until there are enough or the next would take longer than there is time."""
        began = time.monotonic()
        for number in range(self.rounds):
            if number and (time.monotonic() - began) * (number + 1) / number > self.budget_s:
                break
            self._round(number)
            print(
                f"round {number + 1} of {self.rounds}: {time.monotonic() - began:,.0f} s", file=sys.stderr, flush=True
            )

    def _round(self, number: int) -> None:
        with loopback_server(next(iter(self.servers.values()))) as url:
            self.calibrations.append(calibrate(url))
        # Each round begins with another peer, so that none always has the machine in the same state.
        shift = number % len(self.peers)
        order = self.peers[shift:] + self.peers[:shift]
        for server, peer in self._turns([peer for peer in order if peer.is_compared or number < OTHERS_ROUNDS]):
            latencies = self.latencies if server == self.main else {}
            for name, case in cases(peer, self.servers[server], self.sizes, latencies):
                is_due = number < (MEMORY_ROUNDS if name == "memory" else self.rounds)
                if is_due and (server == self.main or name in COMPARED_ON_BOTH):
                    self.note(number, f"{server}|{peer.name}|{name}", case)

    @property
    def main(self) -> str:
        """The server on which all peers are measured in all cases."""
        return next(iter(self.servers))

    def _turns(self, peers: list[Peer]) -> Iterator[tuple[str, Peer]]:
        for peer in peers:
            if peer.name not in self.missing:
                for server in self.servers:
                    if server == self.main or peer.is_compared:
                        yield server, peer

    def note(self, number: int, name: str, case: Any) -> None:
        """Measure one case in one round; what it gave is kept, or why it gave nothing."""
        if name in self.unsupported:
            return
        print(f"  round {number + 1}: {name}", file=sys.stderr, flush=True)
        try:
            found: Figures = case()
        except UnsupportedError as error:
            self.unsupported[name] = str(error)
            return
        except (BrokenError, redis.ConnectionError, redis.TimeoutError) as error:  # the server may have ended, too
            said = str(error) or type(error).__name__
            print(f"{name}, round {number + 1}: {said}", file=sys.stderr, flush=True)
            self.unsupported.setdefault(f"{name}, round {number + 1}", said.splitlines()[0])
            return
        for what, value in found.items():
            values = self.figures.setdefault(f"{name}|{what}", [])
            values += [None] * (number - len(values)) + [value]

    def save(self, part: str) -> None:
        """Keep what was found."""
        rounds = len(self.calibrations)
        figures = {name: values + [None] * (rounds - len(values)) for name, values in self.figures.items()}
        results.save(
            part,
            figures,
            rounds=[
                {**each, "quiet": is_quiet}
                for each, is_quiet in zip(self.calibrations, quiet(self.calibrations), strict=True)
            ],
            latencies={name: percentiles(each) for name, each in self.latencies.items()},
            missing=self.missing,
            unsupported=self.unsupported,
            servers={name: version(binary) for name, binary in self.servers.items()},
            peers=[
                {
                    "name": each.name,
                    "packages": each.packages or (),
                    "task": each.task,
                    "concurrency": each.concurrency,
                    "best": each.best,
                    "description": description(each),
                }
                for each in self.peers
            ],
            cores=os.cpu_count(),
            python=sys.version.split()[0],
        )


def percentiles(values: list[float]) -> list[float]:
    """Return the values at 0, 1, …, 100 % of an ordered list."""
    ordered = sorted(values)
    return [ordered[round(each / 100 * (len(ordered) - 1))] for each in range(101)]


def prepared(*, is_quick: bool = False) -> Run:
    """Return a run of the peers whose environments can be made on this machine."""
    found = binaries()
    servers: dict[str, str] = {name: found[name] for name in ("redis", "valkey") if name in found}
    missing = {} if "redis" in found else {"redis": "there is no redis-server on this machine"}
    if is_quick:
        servers = dict([next(iter(servers.items()))])
    peers = []
    for peer in PEERS:
        if is_quick and not peer.is_quick:
            continue
        try:
            command(peer)
        except MissingError as error:
            missing[peer.name] = str(error)
            print(f"{peer.name} is left out: {error}", file=sys.stderr, flush=True)
        else:
            peers.append(peer)
    if is_quick:
        return Run(
            peers, servers, min(ROUNDS, QUICK_ROUNDS), QUICK_BUDGET_S, Sizes(QUICK_DRAIN_S, QUICK_ROWS), missing=missing
        )
    return Run(peers, servers, ROUNDS, BUDGET_S, Sizes(), missing=missing)


async def measure() -> None:
    """Measure all peers in all cases, and keep what was found."""
    run = prepared()
    run.measure()
    run.save(results.SIDE)
    print("\n".join(side_by_side(Kept(results.load()))))


def measure_quick() -> None:
    """Measure four of the peers in less time, and keep what was found beside what a full run has kept."""
    run = prepared(is_quick=True)
    run.measure()
    run.save(results.QUICK)
    print("\n".join(side_by_side(Kept(results.load_quick()))))
