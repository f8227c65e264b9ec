"""``lash-redis ps``: how many processes stand where, and a page of them, the uncertain or the latest ones first."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

from lash_redis.cli.connect import add_options, answer, checked_by
from lash_redis.cli.render import json_text, loud, printable, table
from lash_redis.core.checks import MAX_BATCH, checked_int, checked_queue, checked_task_name
from lash_redis.core.labels import label_in, label_key, labels_in_words
from lash_redis.core.model import Phase, ProcessStatus, RecoveryDisposition
from lash_redis.core.places import BY_URGENCY
from lash_redis.core.times_in_words import ago, duration
from lash_redis.operate.counts import NamespaceView, Totals, count, namespace_view
from lash_redis.operate.filtered_pages import filtered
from lash_redis.operate.page_notes import notes_of
from lash_redis.operate.pausing import in_words
from lash_redis.operate.row_views import row_view
from lash_redis.registry.calls.listing import ListedRows
from lash_redis.registry.calls.selecting import Which
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from lash_redis.registry.transport.server import NO_EVICTION

_HEADER = ("ID", "PHASE", "DISPOSITION", "TASK", "QUEUE", "REGISTERED", "STARTED", "OWNER", "NOTE")
_HEADER_OF_ENDED = ("ID", "STATE", "DISPOSITION", "TASK", "QUEUE", "REGISTERED", "ENDED", "OWNER", "NOTE")
_UNRESOLVED = "unresolved"
_STATES = {status.value: status for status in ProcessStatus if status is not ProcessStatus.RUNNING} | {
    _UNRESOLVED: ProcessStatus.ABANDONED
}


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ps",
        help="count processes and list those that have not ended, or those that ended in one way",
        description=__doc__,
    )
    names = [phase.value for phase in BY_URGENCY]
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--phase", choices=names, metavar="PHASE", help=f"only one of: {', '.join(names)}")
    which.add_argument(
        "--state", choices=_STATES, metavar="STATE", help=f"what has ended, the latest first: {', '.join(_STATES)}"
    )
    which.add_argument(
        "--label",
        type=checked_by(label_in),
        metavar="NAME=VALUE",
        help="what has this label, ended or not, in the order of registration",
    )
    parser.add_argument("--queue", type=checked_by(checked_queue), metavar="Q", help="only what is of this queue")
    parser.add_argument("--task", type=checked_by(checked_task_name), metavar="T", help="only what is of this task")
    parser.add_argument("--limit", type=checked_by(_limit), default=50, help=f"rows a page, 1 to {MAX_BATCH} (50)")
    parser.add_argument("--cursor", help="where the page begins, as the page before says")
    add_options(parser)
    parser.set_defaults(run=partial(answer, verb=_ps))


def _limit(value: str) -> int:
    return checked_int("--limit", int(value) if value.lstrip("-").isdecimal() else value, at_least=1, at_most=MAX_BATCH)


async def _ps(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    totals = await count(registry)
    read, which = partial(_page, registry, args), Which(queue=args.queue, task=args.task)
    page = await (read(args.limit, args.cursor) if which.is_all else filtered(read, which, args.limit, args.cursor))
    waits = await notes_of(registry, page.rows)
    view = namespace_view(registry, totals, page, waits)
    if args.json:
        return json_text(view)
    about = [_namespace(view), _workers(totals), *_paused(totals), *_bounded(totals), *_scheduled(totals)]
    return "\n".join([*about, "", *_counted(totals), *_listed(page, args, waits)])


async def _page(registry: ProcessRegistry, args: argparse.Namespace, limit: int, cursor: str | None) -> ListedRows:
    if args.label:
        name, value = args.label
        return await registry.list_labelled(name, value, limit, cursor)
    if args.state:
        unresolved = args.state == _UNRESOLVED
        task = None if unresolved else args.task
        return await registry.list_ended(_STATES[args.state], limit, cursor, unresolved=unresolved, task=task)
    only, lanes = Phase(args.phase) if args.phase else None, (args.queue, args.task)
    return await registry.list_by_phase(BY_URGENCY, limit, cursor, only=only, lanes=lanes)


def _counted(totals: Totals) -> list[str]:
    uncertain = totals.phases[Phase.UNCERTAIN]
    lines = []
    if uncertain:
        words = f"{uncertain} uncertain: started, the owner silent, no proof of death. No time settles them; you do:"
        lines += [loud(words), "  lash-redis ps --phase uncertain, then lash-redis abandon ID --by … --reason …", ""]
    if totals.unresolved:
        words = f"{totals.unresolved} abandoned and unresolved: nobody has said what became of them. You do:"
        resolve = "lash-redis resolve ID --as happened|did_not_happen|accepted --by … --reason …"
        lines += [loud(words), f"  lash-redis ps --state {_UNRESOLVED}, then {resolve}", ""]
    running = ["running", *(f"{phase.value} {number}" for phase, number in totals.phases.items())]
    ended = ["ended", *(f"{status.value} {number}" for status, number in totals.statuses.items())]
    lines += table([running, ended + [""] * (len(running) - len(ended))])
    if set(totals.queued) - {"default"}:
        by_queue = ", ".join(f"{queue} {number}" for queue, number in sorted(totals.queued.items()))
        lines.append(printable(f"queued by queue: {by_queue}"))
    if totals.abandon_requested:
        waiting = f"{totals.abandon_requested} with an abandon request"
        lines.append(f"{waiting} that waits for a sweep or for the end of a lease")
    if totals.lapsed:
        at_least = "at least " if totals.lapsed >= MAX_BATCH else ""
        lines.append(
            loud(f"{at_least}{totals.lapsed} with a lapsed lease that no sweep has seen: does any worker run?")
        )
    return lines


def _listed(page: ListedRows, args: argparse.Namespace, waits: Mapping[str, str]) -> list[str]:
    lines = []
    if page.rows:
        header = _HEADER_OF_ENDED if args.state else _HEADER
        lines += ["", *table([header, *(_line(row, waits.get(row.process_id, "")) for row in page.rows)])]
    if page.cursor is not None:
        lines += ["", f"more: --limit {args.limit}{_which(args)} --cursor {page.cursor}"]
    return lines


def _which(args: argparse.Namespace) -> str:
    of = f" --queue {args.queue}" if args.queue else ""
    of += f" --task {shlex.quote(args.task)}" if args.task else ""
    if args.label:
        return f" --label {shlex.quote(label_key(*args.label))}{of}"
    return f" --phase {args.phase}{of}" if args.phase else f" --state {args.state}{of}" if args.state else of


def _namespace(view: NamespaceView) -> str:
    partitions, server = view["partitions"], view["server"]
    parts = [
        f"namespace {view['namespace']}",
        f"on {view['address']}",
        f"{partitions} partition{'s'[: partitions != 1]}",
    ]
    if server is not None:
        parts += [server["version"], f"durability: {server['durability']}"]
    line = printable(" · ".join(parts))
    if server is not None and server["maxmemory_policy"] != NO_EVICTION:
        policy = printable(server["maxmemory_policy"])
        line += "\n" + loud(f"maxmemory-policy: {policy}: the server deletes leases and rows in silence")
    return line


def _workers(totals: Totals) -> str:
    queues = f" (queues {', '.join(totals.queues)})" if totals.queues else ""
    return printable(f"workers: {totals.workers or 'none'} called within the last minute{queues}")


def _bounded(totals: Totals) -> list[str]:
    lines = []
    for each in totals.bounded:
        bound = each.bound
        if bound.most_waiting is not None:
            lines.append(
                f"queue {bound.queue}: {each.waiting} of at most {bound.most_waiting} wait for their first claim"
            )
        if each.declared_otherwise:
            words = f"most_waiting of queue {bound.queue} is declared otherwise too: {each.declared_otherwise}"
            lines.append(loud(printable(f"{words}, of the same revision {bound.revision}: raise its revision")))
    return lines


def _scheduled(totals: Totals) -> list[str]:
    return [f"schedules: {totals.schedules} (lash-redis schedules)"] if totals.schedules else []


def _paused(totals: Totals) -> list[str]:
    return [loud(printable(in_words(each))) for each in totals.paused]


def _line(row: Row, waits: str) -> list[str]:
    view, now = row_view(row), row.now_ms
    at_ms = view["ended_at_ms"] or _started_at_ms(row)
    owner = row.holder or (row.starter if row.disposition is RecoveryDisposition.OWNER_BOUND else None)
    return [
        view["id"],
        view["phase"] or view["status"],
        view["disposition"],
        view["task"] or "-",
        view["queue"],
        ago(view["registered_at_ms"], now),
        ago(at_ms, now) if at_ms is not None else "-",
        owner.owner_id if owner else "-",
        _note(row, waits),
    ]


def _started_at_ms(row: Row) -> int | None:
    """Return when the attempt began that runs now; of owner-bound work there is only one, which may have ended."""
    record, lease = row.record(), row.lease()
    if record.disposition is RecoveryDisposition.OWNER_BOUND:
        return record.first_started.started_at_ms if record.first_started else None
    return lease.claimed_at_ms if lease is not None and row.has_begun else None


def _note(row: Row, waits: str) -> str:
    notes = [printable(waits)] if waits else []
    if row.phase is Phase.DELAYED and row.due_at_ms is not None:
        notes.append(f"due {ago(row.due_at_ms, row.now_ms)}")
    if row.labels:
        notes.append(printable(labels_in_words(row.labels)))
    if row.disposition is RecoveryDisposition.EXTERNALLY_OWNED and not row.is_terminal:
        notes.append(f"granted to {printable(row.record().granted_to or 'anybody')}")
    lease = row.lease()
    if lease is not None and not row.is_live:
        notes.append(f"lease lapsed {duration(row.now_ms - lease.expires_at_ms)} ago")
    if row.abandon_request is not None:
        notes.append(f"abandon requested by {printable(row.abandon_request.requested_by)}")
    if row.cancel_request is not None:
        notes.append(f"cancel requested by {printable(row.cancel_request.requested_by)}")
    if row.status is ProcessStatus.ABANDONED:
        resolution = row.record().resolution
        notes.append(f"resolved: {resolution.kind.value}" if resolution else _UNRESOLVED)
    if row.losses and row.status is not ProcessStatus.ABANDONED:  # at its limit there was one more
        notes.append(f"{row.losses} of {row.options.loss_limit} losses{', runs alone' if row.runs_alone else ''}")
    return ", ".join(notes)
