"""The cases: what one peer is measured in, in each round, and the figures that each gives."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from benchmarks.draining import many
from benchmarks.peers.drains import Drain, drained
from benchmarks.peers.running import client, workers
from benchmarks.peers.table import Peer
from benchmarks.server import Work, loopback_server

PROBED, DRAIN_S, FEWEST = 400, 2.5, 300
WARM, SINGLES, OUTCOMES, IDLE_S = 50, 1_000, 200, 1.0
LARGEST = 100_000

Figures = dict[str, float]


@dataclass
class Sizes:
    """How many rows each drain has: as many as the first probe says that it drains within some seconds."""

    seconds: float = DRAIN_S
    largest: int = LARGEST
    _known: dict[tuple[str, ...], int] = field(default_factory=dict)

    def rows(self, peer: Peer, case: Case, binary: str) -> int:
        """Return how many rows this case has."""
        if peer.rows and case.task != "plain":
            return many(round(min(peer.rows, self.largest) * case.share))
        key = peer.name, case.name
        if key not in self._known:
            with loopback_server(binary) as url:
                probe = _drain(peer, case, url, many(PROBED))
            self._known[key] = max(FEWEST, min(self.largest, round(probe.rate * self.seconds / 100) * 100))
        return many(self._known[key])


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: as the results name it.
        task: the no-op.
        concurrency: how many each worker has in hand.
        workers: how many worker OS processes.
        share: how many rows it has, as a part of those that the peer's drain has.
    """

    name: str
    task: str
    concurrency: int
    workers: int = 1
    share: float = 1.0


def drains(peer: Peer) -> Iterator[Case]:
    """Yield the drains of a peer: the first is the one that all peers have."""
    yield Case("drain", peer.task, peer.concurrency)
    if peer.is_compared:
        yield Case("best", peer.task, peer.best or peer.concurrency)
        yield Case("two", peer.task, peer.best or peer.concurrency, workers=2, share=0.5)
    if peer.packages is None:
        yield Case("bound", "bound", peer.concurrency, share=0.5)
        yield Case("plain", "plain", 8)


def drain(peer: Peer, case: Case, binary: str, sizes: Sizes) -> Figures:
    """Measure one drain and the bulk submit before it, on a server of its own."""
    rows = sizes.rows(peer, case, binary)
    with loopback_server(binary) as url, client(peer, url) as asked:
        asked.ask({"do": "bulk", "from": 0, "count": WARM, "task": case.task})
        submitted = asked.ask({"do": "bulk", "from": WARM, "count": rows, "task": case.task})
        measured = drained(
            peer, url, range(WARM + rows), task=case.task, concurrency=case.concurrency, count=case.workers
        )  # fmt: skip
    bulk = {"bulk_rate": rows / submitted["seconds"], "bulk_cpu_us": 1e6 * submitted["cpu"] / rows}
    return {"rows": rows, **_of_drain(measured), **bulk}


def _drain(peer: Peer, case: Case, url: str, rows: int) -> Drain:
    with client(peer, url) as asked:
        asked.ask({"do": "bulk", "from": 0, "count": rows, "task": case.task})
        return drained(peer, url, range(rows), task=case.task, concurrency=case.concurrency)


def _of_drain(measured: Drain) -> Figures:
    return {
        "rate": measured.rate,
        "server_us": 1e6 * measured.server_s / measured.count,
        "worker_us": 1e6 * measured.workers_s / measured.count,
        "server_share": measured.server_s / measured.seconds,
        "worker_share": measured.workers_s / measured.seconds,
        "commands": measured.commands / measured.count,
    }


def single(peer: Peer, binary: str, caller: str) -> Figures:
    """Measure submits one after another."""
    count = many(SINGLES)
    ask = {"do": "single", "task": peer.task, "caller": caller}
    with loopback_server(binary) as url, client(peer, url) as asked:
        asked.ask({**ask, "from": 0, "count": WARM})
        took = asked.ask({**ask, "from": WARM, "count": count})
    return {"rate": count / took["seconds"], "cpu_us": 1e6 * took["cpu"] / count}


def outcomes(peer: Peer, binary: str) -> tuple[Figures, list[float]]:
    """Measure an idle worker and server: from a submit to its outcome. Return the figures and all latencies, ms.

    What the idle worker asks by itself in that time is no command of the submit, so it is measured before.
    """
    count = many(OUTCOMES)
    ask = {"do": "outcomes", "task": peer.task}
    with (
        loopback_server(binary) as url,
        tempfile.TemporaryDirectory(prefix="lash-bench-ran-") as folder,
        workers(peer, url, Path(folder), task=peer.task, concurrency=peer.concurrency, waited=True),
        client(peer, url) as asked,
    ):
        asked.ask({**ask, "from": 0, "count": WARM // 2})
        work = Work(url)
        time.sleep(IDLE_S)
        idle = work.since()[0] / IDLE_S
        work = Work(url)
        answer = asked.ask({**ask, "from": WARM, "count": count})
        commands, server_s, _ = work.since()
    latencies = sorted(answer["latencies"])
    figures = {
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[min(len(latencies) - 1, round(0.99 * len(latencies)))],
        "commands": max(0.0, commands - idle * answer["seconds"]) / count,
        "idle_commands": idle,
        "server_us": 1e6 * server_s / count,
    }
    return figures, latencies


def memory(peer: Peer, case: Case, binary: str, sizes: Sizes) -> Figures:
    """Measure the bytes of a queued job and of one that has ended, with an id of 20 characters and two arguments."""
    rows = min(10_000, sizes.rows(peer, case, binary))
    with loopback_server(binary) as url:
        # One goes through before, so that what the server keeps of scripts and of the peer itself is not counted.
        _drain(peer, case, url, 1)
        before = _held(url)
        with client(peer, url) as asked:
            asked.ask({"do": "bulk", "from": 1, "count": rows, "task": case.task, "named": True})
        queued = _held(url) - before
        drained(peer, url, range(1, rows + 1), task=case.task, concurrency=case.concurrency)
        ended = _held(url) - before
    return {"queued_bytes": queued / rows, "ended_bytes": ended / rows}


def _held(url: str) -> int:
    """Return the bytes that a server holds, those of its connections left out."""
    with redis.Redis.from_url(url) as server:
        found = server.info("memory")
    return int(found["used_memory"] - found["mem_clients_normal"])


def cases(
    peer: Peer, binary: str, sizes: Sizes, latencies: dict[str, list[float]]
) -> Iterator[tuple[str, Callable[[], Figures]]]:
    """Yield what a peer is measured in: a name and what measures it."""

    def waited() -> Figures:
        figures, found = outcomes(peer, binary)
        latencies.setdefault(peer.name, []).extend(found)
        return figures

    shared, *others = drains(peer)
    yield shared.name, lambda: drain(peer, shared, binary, sizes)
    for each in others:
        yield each.name, _bound(drain, peer, each, binary, sizes)
    yield "memory", lambda: memory(peer, shared, binary, sizes)
    yield "single", lambda: single(peer, binary, "async")
    yield "single_plain", lambda: single(peer, binary, "plain")
    if peer.packages is None:
        yield "raw", lambda: single(peer, binary, "raw")
        yield "raw_plain", lambda: single(peer, binary, "raw_plain")
    yield "outcomes", waited


def _bound(function: Callable[..., Figures], *arguments: Any) -> Callable[[], Figures]:
    return lambda: function(*arguments)
