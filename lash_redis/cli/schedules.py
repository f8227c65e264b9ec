"""``lash-redis schedules``: when what runs again and again runs next; more of one; pause, resume, run or remove it."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any, Final

from lash_redis.cli.connect import add_options, answer, checked_by
from lash_redis.cli.render import json_text, printable, table
from lash_redis.cli.requests import text
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.liveness import node_name
from lash_redis.core.model import PauseRequest
from lash_redis.core.schedules import NAME
from lash_redis.core.times_in_words import ago
from lash_redis.core.timing import wall_ms
from lash_redis.operate.schedules import NextTime, ScheduleView, next_times, schedule_views
from lash_redis.registry.registry import ProcessRegistry

_YEARS: Final = range(1971, 2201)
_ACTS = {
    "next": "its next five times",
    "pause": "submits no more, until it is resumed",
    "resume": "goes on from now",
    "run": "runs once, beside its times",
    "remove": "is forgotten; code that declares it stores it again when a worker starts",
}


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "schedules", help="list what runs again and again; pause, resume, run or remove one", description=__doc__
    )
    parser.add_argument("act", nargs="?", choices=_ACTS, metavar="ACT", help=", ".join(_ACTS))
    name = checked_by(lambda value: NAME.checked("NAME", value))
    parser.add_argument("name", nargs="?", type=name, metavar="NAME", help="the schedule")
    who = "who pauses it, up to 256 bytes; default: this machine's name"
    parser.add_argument("--by", type=text("--by", 256), help=who)
    parser.add_argument("--reason", type=text("--reason", 4096), help="why it is paused, up to 4096 bytes")
    start = "with next: those from a day or moment on, by the clocks of the schedule's zone, such as 2026-10-25"
    parser.add_argument("--from", dest="start", type=checked_by(_start), metavar="WHEN", help=start)
    add_options(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    if args.act is not None and args.name is None:
        parser.error(f"expected the name of a schedule after {args.act}: `lash-redis schedules` lists them")
    if args.act != "pause" and (args.by or args.reason):
        parser.error("expected --by and --reason with pause alone")
    if args.act != "next" and args.start:
        parser.error("expected --from with next alone")
    return answer(args, _schedules if args.act is None else _change)


def _start(value: str) -> dt.datetime:
    try:
        start = dt.datetime.fromisoformat(value)
    except ValueError:
        start = dt.datetime.min  # noqa: DTZ901 - no time is read of it
    if start.year not in _YEARS:
        raise SettingsError(
            f"expected --from to be a day or a moment such as 2026-10-25T01:30, from {_YEARS[0]} to {_YEARS[-1]}, "
            f"got {shown(value)}"
        )
    return start


async def _schedules(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    views = await schedule_views(registry)
    if args.json:
        return json_text({"schedules": views})
    if not views:
        return f"no schedule is stored in namespace {args.namespace}: a worker stores those of its code when it starts"
    header = ("NAME", "NEXT", "RULE", "TASK", "QUEUE", "LAST")
    lines = table([header, *map(_line, views)])
    notes = [f"{view['name']}: {printable('; '.join(view['notes']))}" for view in views if view["notes"]]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _line(view: ScheduleView) -> tuple[str, ...]:
    now_ms, following, last_ms = view["now_ms"], view["next"], view["last_tick_ms"]
    if view["next_ms"] is not None:
        following += f", {ago(view['next_ms'], now_ms)}"
    last = "-" if last_ms is None else ago(last_ms, now_ms)
    return (view["name"], following, view["rule"], view["task"], view["queue"], last)


def _in_lines(times: list[NextTime]) -> str:
    return "\n".join(each["text"] for each in times) or "never"


async def _change(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    if args.act == "next":
        times = await next_times(registry, args.name, start=args.start)
        return json_text({"schedule": args.name, "times": times}) if args.json else _in_lines(times)
    process_id = None
    match args.act:
        case "pause":
            request = PauseRequest(args.by or node_name(), wall_ms(), args.reason)
            await registry.pause_schedule(args.name, request)
        case "resume":
            await registry.resume_schedule(args.name)
        case "remove":
            await registry.remove_schedule(args.name)
        case _:
            process_id = await registry.run_schedule(args.name)
    if args.json:
        return json_text({"schedule": args.name, "act": args.act, "process_id": process_id})
    also = f": process {process_id}" if process_id else ""
    return f"{args.name} {_ACTS[args.act]}{also}"
