"""``lash-redis ps``: how many processes stand where, and a page of them, the uncertain ones first."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from lash_redis.cli.connect import add_options, answer, checked_by
from lash_redis.cli.render import ago, duration, json_text, loud, printable, table
from lash_redis.core.checks import MAX_BATCH, checked_int
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.operate.listing import PHASES, Page, read_page, stops
from lash_redis.operate.views import row_shape
from lash_redis.registry.answers import Counts
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

_HEADER = ("ID", "PHASE", "DISPOSITION", "TASK", "QUEUE", "REGISTERED", "STARTED", "OWNER", "NOTE")
_STATES = tuple(status for status in ProcessStatus if status is not ProcessStatus.RUNNING)


class Tally(msgspec.Struct, frozen=True):
    """The counts of all partitions together."""

    phases: dict[Phase, int]
    states: dict[ProcessStatus, int]
    asked: int


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ps", help="count processes and list those that have not ended", description=__doc__
    )
    names = [phase.value for phase in PHASES]
    parser.add_argument("--phase", choices=names, metavar="PHASE", help=f"only one of: {', '.join(names)}")
    parser.add_argument("--limit", type=checked_by(_limit), default=50, help=f"rows a page, 1 to {MAX_BATCH} (50)")
    parser.add_argument("--cursor", help="where the page begins, as the page before says")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Answer ``ps``; return the exit code."""
    return answer(args, _ps)


def _limit(value: str) -> int:
    return checked_int("--limit", int(value) if value.lstrip("-").isdecimal() else value, at_least=1, at_most=MAX_BATCH)


async def _ps(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    counts = [await registry.counts(partition) for partition in range(registry.partitions)]
    wanted = Phase(args.phase) if args.phase else None
    page = await read_page(registry, stops(wanted, counts), args.limit, args.cursor)
    tally, lapsed = tallied(counts), await _lapsed(registry)
    if args.json:
        return json_text(_shape(registry, tally, page) | {"lapsed": lapsed})
    lines = [_place(registry), "", *counted(tally)]
    if lapsed:
        at_least = "at least " if lapsed >= MAX_BATCH else ""
        lines.append(loud(f"{at_least}{lapsed} with a lapsed lease that no sweep has seen: does any worker run?"))
    if page.rows:
        lines += ["", *table([_HEADER, *map(_line, page.rows)])]
    if page.cursor is not None:
        phase = f" --phase {args.phase}" if args.phase else ""
        lines += ["", f"more: --limit {args.limit}{phase} --cursor {page.cursor}"]
    return "\n".join(lines)


async def _lapsed(registry: ProcessRegistry) -> int:
    """Count the leases that ran out and wait for a sweep, by one page a partition."""
    pages = [await registry.page(partition, "leases", upto="now") for partition in range(registry.partitions)]
    return sum(len(page.rows) for page in pages)


def tallied(counts: Sequence[Counts]) -> Tally:
    """Return the sums over all partitions, by phase and by terminal state."""
    states: Counter[str] = Counter()
    for each in counts:
        for (_task, state), number in each.terminal.items():
            states[state] += number
    phases = {
        Phase.UNCERTAIN: sum(each.uncertain for each in counts),
        Phase.STARTED: sum(each.leased - each.held for each in counts),
        Phase.HELD: sum(each.held for each in counts),
        Phase.OUTSIDE: sum(each.outside for each in counts),
        Phase.QUEUED: sum(sum(each.lanes.values()) for each in counts),
    }
    return Tally(phases, {status: states[status.value] for status in _STATES}, sum(each.asked for each in counts))


def counted(tally: Tally) -> list[str]:
    """Return the counts for people; what is uncertain is said first and aloud."""
    uncertain = tally.phases[Phase.UNCERTAIN]
    lines = []
    if uncertain:
        words = f"{uncertain} uncertain: started, the owner silent, no proof of death. No time settles them; you do:"
        lines += [loud(words), "  lash-redis ps --phase uncertain, then lash-redis abandon ID --by … --reason …", ""]
    lines += table(
        [
            ["running", *(f"{phase.value} {number}" for phase, number in tally.phases.items())],
            ["ended", *(f"{status.value} {number}" for status, number in tally.states.items()), ""],
        ]
    )
    if tally.asked:
        lines.append(f"{tally.asked} with an abandon request that waits for a sweep or for the end of a lease")
    return lines


def _place(registry: ProcessRegistry) -> str:
    parts = [f"namespace {registry.namespace}", f"{registry.partitions} partition{'s'[: registry.partitions != 1]}"]
    if registry.server is not None:
        parts += [registry.server.version, f"durability: {registry.server.durability}"]
    return printable(" · ".join(parts))


def _line(row: Row) -> list[str]:
    shape, now = row_shape(row), row.now_ms
    started = shape["first_started"]
    owner = row.holder or row.starter
    return [
        shape["id"],
        shape["phase"],
        shape["disposition"],
        shape["task"] or "-",
        shape["queue"],
        ago(shape["registered_at_ms"], now),
        ago(started["started_at_ms"], now) if started else "-",
        owner.owner_id if owner else shape["granted_to"] or "-",
        _note(row),
    ]


def _note(row: Row) -> str:
    notes = []
    lease = row.lease()
    if lease is not None and not row.is_live:
        notes.append(f"lease lapsed {duration(row.now_ms - lease.expires_at_ms)} ago")
    if row.abandon_request is not None:
        notes.append(f"abandon requested by {printable(row.abandon_request.requested_by)}")
    if row.cancel_request is not None:
        notes.append(f"cancel requested by {printable(row.cancel_request.requested_by)}")
    if row.losses:
        notes.append(f"{row.losses} of {row.loss_limit} losses")
    return ", ".join(notes)


def _shape(registry: ProcessRegistry, tally: Tally, page: Page) -> dict[str, Any]:
    server = registry.server
    return {
        "namespace": registry.namespace,
        "partitions": registry.partitions,
        "server": {"version": server.version, "durability": server.durability} if server else None,
        "phases": {phase.value: number for phase, number in tally.phases.items()},
        "states": {status.value: number for status, number in tally.states.items()},
        "abandon_requested": tally.asked,
        "processes": [row_shape(row) for row in page.rows],
        "cursor": page.cursor,
    }
