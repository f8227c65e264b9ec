"""The goals: what was wanted, of which figure it is read, and whether it was reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report.kept import LASH, Kept, told
from benchmarks.results import SERVER_TO_BARE_AT_MOST, Values, median, ratios

HEAD = ("| what | goal | reached | | part |", "|---|---|---|---|---|")
BULLMQ, BEE, SAQ, HUEY = "BullMQ", "bee-queue", "SAQ", "Huey"


@dataclass(frozen=True)
class Goal:
    """One line of the table.

    Attributes:
        about: what is measured.
        wanted: the goal in words.
        part: of the bench, that measures it.
        values: what it gave in each round.
        bound: what the median must not pass.
        at_least: the bound is the least; else it is the most.
        form: of a value.
    """

    about: str
    wanted: str
    part: str
    values: Values
    bound: float
    at_least: bool = False
    form: str = ".2f"

    @property
    def verdict(self) -> str:
        """``reached``, ``missed`` or ``not measured``."""
        middle = median(self.values)
        if middle is None:
            return "not measured"
        return "reached" if (middle >= self.bound if self.at_least else middle <= self.bound) else "missed"

    def row(self) -> str:
        """Return the line."""
        return f"| {self.about} | {self.wanted} | {told(self.values, self.form)} | {self.verdict} | `{self.part}` |"


def goals(kept: Kept) -> list[Goal]:
    """Return all goals with what was measured."""
    return [*_drains(kept), *_submits(kept), *_answers(kept), *_costs(kept), *_elsewhere(kept)]


def _ratio(kept: Kept, server: str, case: str, what: str, peer: str) -> list[float]:
    """Return how lash-redis compares with a peer in each round."""
    return ratios(kept.of(server, LASH, case, what), kept.of(server, peer, case, what))


def _goal(about: str, wanted: str, values: Values, bound: float, **more: Any) -> Goal:
    return Goal(about, wanted, "side_by_side", values, bound, **more)


def _drains(kept: Kept) -> Iterator[Goal]:
    for server, name in (kept.servers or {"": "any server"}).items():
        what = f"drain of async no-ops, {name}"
        yield _goal(
            f"{what}, 64 in hand", "1.5 times BullMQ", _ratio(kept, server, "drain", "rate", BULLMQ), 1.5, at_least=True
        )
        yield _goal(
            f"{what}, each at its best", "1.5 times BullMQ", _ratio(kept, server, "best", "rate", BULLMQ), 1.5,
            at_least=True,
        )  # fmt: skip
    yield from _other_drains(kept, kept.main)


def _other_drains(kept: Kept, server: str) -> Iterator[Goal]:
    yield _goal(
        "drain, 64 in hand",
        "12 times SAQ",
        _ratio(kept, server, "drain", "rate", SAQ),
        12,
        at_least=True,
        form=".1f",
    )
    yield _goal(
        "two worker processes: share of a core that the server uses", "at least 0.9",
        kept.of(server, LASH, "two", "server_share"), 0.9, at_least=True,
    )  # fmt: skip
    yield _goal(
        "two worker processes: the server's CPU a process, of that with one", "at most 1.0",
        ratios(kept.of(server, LASH, "two", "server_us"), kept.of(server, LASH, "best", "server_us")), 1.0,
    )  # fmt: skip
    yield _goal(
        "owner-bound no-ops, of the rerunnable ones", "at least 0.9",
        ratios(kept.of(server, LASH, "bound", "rate"), kept.of(server, LASH, "drain", "rate")), 0.9, at_least=True,
    )  # fmt: skip
    yield _goal(
        "plain `def` no-ops in 8 threads", "3 times Huey",
        ratios(kept.of(server, LASH, "plain", "rate"), kept.of(server, HUEY, "drain", "rate")), 3, at_least=True,
    )  # fmt: skip


def _submits(kept: Kept) -> Iterator[Goal]:
    server = kept.main
    for about, case, raw in (("awaited", "single", "raw"), ("from plain code", "single_plain", "raw_plain")):
        yield _goal(
            f"submit one at a time, {about}", "0.9 of a raw script call",
            ratios(kept.of(server, LASH, case, "rate"), kept.of(server, LASH, raw, "rate")), 0.9, at_least=True,
        )  # fmt: skip
    yield _goal(
        "submit one at a time, from plain code", "ahead of Huey", _ratio(kept, server, "single_plain", "rate", HUEY), 1,
        at_least=True,
    )  # fmt: skip
    for peer, wanted, bound in ((BULLMQ, "2 times BullMQ", 2.0), (BEE, "level with bee-queue", 0.95)):
        yield _goal("`submit_many`", wanted, _ratio(kept, server, "drain", "bulk_rate", peer), bound, at_least=True)


def _answers(kept: Kept) -> Iterator[Goal]:
    server = kept.main
    about = "idle, submit to outcome"
    yield _goal(f"{about}, p50", "level with bee-queue", _ratio(kept, server, "outcomes", "p50_ms", BEE), 1.05)
    yield _goal(f"{about}, p50", "half of BullMQ's", _ratio(kept, server, "outcomes", "p50_ms", BULLMQ), 0.5)
    yield _goal(
        f"{about}, p99", "3 times the median",
        ratios(kept.of(server, LASH, "outcomes", "p99_ms"), kept.of(server, LASH, "outcomes", "p50_ms")), 3,
    )  # fmt: skip
    yield _goal(f"{about}, commands", "at most 25", kept.of(server, LASH, "outcomes", "commands"), 25, form=".0f")


def _costs(kept: Kept) -> Iterator[Goal]:
    server = kept.main
    yield _goal("server CPU a process, drain", "bee-queue's", _ratio(kept, server, "drain", "server_us", BEE), 1.0)
    yield Goal(
        "server CPU a process, drain",
        f"{SERVER_TO_BARE_AT_MOST} times the ceiling's",
        "ceiling",
        kept.values("ceiling", "server_to_bare"),
        SERVER_TO_BARE_AT_MOST,
    )
    yield _goal(
        "server and worker CPU together", "0.6 of BullMQ's",
        ratios(_both(kept, server, LASH), _both(kept, server, BULLMQ)), 0.6,
    )  # fmt: skip
    yield Goal(
        "CPU of the worker process alone",
        "3 times the interpreter's floor",
        "floor",
        kept.values("floor", "worker_to_floor"),
        3,
    )
    for name, most in (("redis", 300), ("valkey", 250)):
        yield _goal(
            f"bytes a queued process, {kept.servers.get(name, name)}", f"at most {most}",
            kept.of(name, LASH, "memory", "queued_bytes"), most, form=".0f",
        )  # fmt: skip
    yield _goal("bytes a terminal process", "BullMQ's", _ratio(kept, server, "memory", "ended_bytes", BULLMQ), 1.0)


def _both(kept: Kept, server: str, peer: str) -> Sequence[float | None]:
    server_us, worker_us = (kept.of(server, peer, "drain", what) for what in ("server_us", "worker_us"))
    return [
        None if one is None or other is None else one + other
        for one, other in zip(server_us, worker_us, strict=True)
    ]  # fmt: skip


# What other parts keep: what it is, the goal, the part, the figure, and the most that it may be.
_ELSEWHERE = (
    ("a million queued, cost of a row, of that with a thousand", "at most 1.5", "million", "cost_ratio", 1.5),
    ("a million queued, first claim, of that with a thousand", "at most 1.5", "million", "first_claim_ratio", 1.5),
    ("a sweep with nothing to recover, 1,000,000 live rows, of that with 1,000", "the same", "sweeps", "ratio", 1.1),
    ("a sweep with nothing to recover, ms of server time", "under 5", "sweeps", "server_ms", 5.0),
    ("10,000 held leases renewed, share of a server core", "under 0.02", "renewals", "server_share", 0.02),
    ("10,000 held leases renewed, longest call, ms", "at most 5", "renewals", "longest_call_ms", 5.0),
    ("idle worker process, commands a second", "at most 2", "idle", "commands_a_second", 2.0),
    ("SIGKILL of a worker to its work running again, s", "under 0.2", "recovery", "again_s", 0.2),
    ("`import lash_redis`, ms more than Python alone", "under 150", "startup", "import_ms", 150.0),
    ("pool ready, s", "under 1", "startup", "ready_s", 1.0),
    ("memory of a worker process, MB", "under 50", "startup", "worker_mb", 50.0),
)


def _elsewhere(kept: Kept) -> Iterator[Goal]:
    for about, wanted, part, figure, most in _ELSEWHERE:
        yield Goal(about, wanted, part, kept.values(part, figure), most)
