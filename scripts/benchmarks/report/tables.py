"""The tables of the peers."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.report.kept import LASH, Kept, told
from benchmarks.results import ratios

# Of each case what it is called, and its figures: a heading, the figure, and how it is shown.
_DRAIN = (
    ("a second", "rate", ",.0f"),
    ("server CPU, µs", "server_us", ",.0f"),
    ("worker CPU, µs", "worker_us", ",.0f"),
    ("server's core", "server_share", ".0%"),
    ("commands", "commands", ".1f"),
)
_CASES = (
    ("drain", "Drain of queued no-ops by one worker process", _DRAIN),
    ("best", "Drain, each peer at its best concurrency", _DRAIN),
    ("two", "Drain by two worker processes, each at its best concurrency", _DRAIN),
    ("bound", "Drain of owner-bound no-ops", _DRAIN),
    ("plain", "Drain of plain `def` no-ops in 8 threads", _DRAIN),
)
_SUBMITS = (("single", "awaited"), ("single_plain", "from plain code"))


def side_by_side(kept: Kept) -> list[str]:
    """Return the tables of the run in which all peers were measured."""
    if not kept.side:
        return ["Nothing was measured yet."]
    lines = [*_about(kept)]
    for server, name in kept.servers.items():
        lines += ["", f"### {name}"]
        for case, title, columns in _CASES:
            lines += _table(kept, server, case, title, columns)
        lines += [*_submits(kept, server), *_outcomes(kept, server), *_memory(kept, server)]
    return [*lines, *_peers(kept)]


def _about(kept: Kept) -> Iterator[str]:
    side = kept.side
    rounds = side["rounds"]
    noisy = [str(number) for number, each in enumerate(rounds, 1) if not each["quiet"]]
    yield (
        f"Rounds: {len(rounds)}, each with all peers in turn, on {side['cores']} cores with Python {side['python']}. "
        "Each figure is the median, with its range in brackets; each ratio is to lash-redis in the same round."
    )
    if noisy:
        left_out = "left out" if not all(kept.counted) else "counted, since too few others are left"
        yield f"Other programs disturbed the calibration of round {', '.join(noisy)}, which is {left_out}."
    yield ""
    yield "| round | Python work, ms | its CPU time, ms | work with an empty server, ms | |"
    yield "|---|---|---|---|---|"
    for number, each in enumerate(rounds, 1):
        figures = (f"{each[name]:.0f}" for name in ("python_ms", "python_cpu_ms", "server_ms"))
        yield f"| {number} | {' | '.join(figures)} | {'' if each['quiet'] else 'noisy'} |"


def _table(kept: Kept, server: str, case: str, title: str, columns: tuple[tuple[str, str, str], ...]) -> Iterator[str]:
    peers = [peer for peer in kept.peers if kept.of(server, peer, case, "rate")]
    if not peers:
        return
    yield from ("", f"{title}:", "")
    yield f"| peer | rows | ratio | {' | '.join(heading for heading, _, _ in columns)} |"
    yield "|---" * (len(columns) + 3) + "|"
    ours = kept.of(server, LASH, case, "rate")
    for peer in peers:
        rate = kept.of(server, peer, case, "rate")
        cells = [told(kept.of(server, peer, case, what), form) for _, what, form in columns]
        rows = told(kept.of(server, peer, case, "rows"), ",.0f")
        yield f"| {_shown(kept, peer, case)} | {rows} | {told(ratios(rate, ours))} | {' | '.join(cells)} |"


def _shown(kept: Kept, peer: str, case: str) -> str:
    of_peer = next(each for each in kept.side["peers"] if each["name"] == peer)
    concurrency = of_peer["concurrency"]
    if case in ("best", "two"):
        concurrency = of_peer["best"] or concurrency
    if case == "plain":
        concurrency = 8
    kind = ", plain" if of_peer["task"] == "plain" else ""
    return f"{peer} ({concurrency}{kind})"


def _submits(kept: Kept, server: str) -> Iterator[str]:
    found = [peer for peer in kept.peers if kept.of(server, peer, "drain", "bulk_rate")]
    if not found:
        return
    yield from (
        "",
        "Submits a second:",
        "",
        "| peer | many | ratio | one at a time, awaited | ratio | from plain code | ratio |",
    )
    yield "|---|---|---|---|---|---|---|"
    for peer in found:
        cells = []
        for case, what in (("drain", "bulk_rate"), ("single", "rate"), ("single_plain", "rate")):
            rate = kept.of(server, peer, case, what)
            cells += [told(rate, ",.0f"), told(ratios(rate, kept.of(server, LASH, case, what)))]
        yield f"| {peer} | {' | '.join(cells)} |"
    raw = [told(kept.of(server, LASH, case, "rate"), ",.0f") for case in ("raw", "raw_plain")]
    if raw != ["–", "–"]:
        yield f"| the call that our submit is, through redis-py alone | – | – | {raw[0]} | – | {raw[1]} | – |"


def _outcomes(kept: Kept, server: str) -> Iterator[str]:
    found = [peer for peer in kept.peers if kept.of(server, peer, "outcomes", "p50_ms")]
    if not found:
        return
    yield from ("", "Idle worker, from a submit to its outcome:", "")
    yield "| peer | p50, ms | ratio | p99, ms | commands | server CPU, µs | commands a second of the idle worker |"
    yield "|---|---|---|---|---|---|---|"
    for peer in found:
        p50, p99, commands, cpu, idle = (
            kept.of(server, peer, "outcomes", what)
            for what in ("p50_ms", "p99_ms", "commands", "server_us", "idle_commands")
        )
        ratio = told(ratios(p50, kept.of(server, LASH, "outcomes", "p50_ms")))
        cells = (told(p50), ratio, told(p99, ".1f"), told(commands, ".0f"), told(cpu, ".0f"), told(idle, ".0f"))
        yield f"| {peer} | {' | '.join(cells)} |"


def _memory(kept: Kept, server: str) -> Iterator[str]:
    found = [peer for peer in kept.peers if kept.of(server, peer, "memory", "queued_bytes")]
    if not found:
        return
    yield from ("", "Bytes of the server's memory, with an id of 20 characters and two small arguments:", "")
    yield from ("| peer | queued | ratio | ended | ratio |", "|---|---|---|---|---|")
    for peer in found:
        cells = []
        for what in ("queued_bytes", "ended_bytes"):
            held = kept.of(server, peer, "memory", what)
            cells += [told(held, ",.0f"), told(ratios(held, kept.of(server, LASH, "memory", what)))]
        yield f"| {peer} | {' | '.join(cells)} |"


def _peers(kept: Kept) -> Iterator[str]:
    yield from ("", "### How each peer is set up", "")
    for each in kept.side["peers"]:
        packages = ", ".join(f"`{package}`" for package in each["packages"])
        made_of = f" Packages: {packages}." if packages else ""
        yield f"* **{each['name']}**. {each['description'].replace('``', '`')}{made_of}"
    for name, why in kept.side["missing"].items():
        yield f"* **{name}** is missing: {why}."
    broken = {name: why for name, why in kept.side["unsupported"].items() if ", round " in name}
    if broken:
        yield from ("", "### What did not run", "")
    for name, why in broken.items():
        yield f"* {name.replace('|', ', ')}: {why}"
