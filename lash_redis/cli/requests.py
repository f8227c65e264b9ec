"""What the verbs that ask for an end share: their arguments, and how they show what became of a request."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from lash_redis.cli.connect import add_options, add_process_id, answer, checked_by
from lash_redis.cli.render import json_text, printable
from lash_redis.core.checks import checked_text
from lash_redis.core.times_in_words import moment
from lash_redis.core.verdict import Action
from lash_redis.operate.requests import RequestReport, request_view
from lash_redis.registry.registry import ProcessRegistry

Ask = Callable[[ProcessRegistry, str, str, str], Awaitable[RequestReport]]


def add_request_verb(
    subparsers: Any, verb: str, ask: Ask, *, help_text: str, description: str | None, nargs: str | None = None
) -> argparse.ArgumentParser:
    """Add a verb to the command line that makes a request of one process; ``ask`` makes it."""
    parser: argparse.ArgumentParser = subparsers.add_parser(verb, help=help_text, description=description)
    add_process_id(parser, nargs=nargs)
    is_asked = nargs is None  # else whoever only counts asks for nothing
    parser.add_argument("--by", required=is_asked, type=text("--by", 256), help="who asks, up to 256 bytes")
    parser.add_argument("--reason", required=is_asked, type=text("--reason", 4096), help="why, up to 4096 bytes")
    add_options(parser)
    parser.set_defaults(run=functools.partial(answer, verb=functools.partial(asked, ask)))
    return parser


def text(name: str, at_most: int) -> Callable[[str], str]:
    """Return an argparse type for text of at most so many bytes."""
    return checked_by(lambda value: checked_text(name, value.strip(), at_most))


async def asked(ask: Ask, registry: ProcessRegistry, args: argparse.Namespace) -> str:
    """Make the request of the process that ``args`` name, and return what became of it."""
    report = _with_command(await ask(registry, args.id, args.by, args.reason))
    return json_text(request_view(report)) if args.json else _for_people(args.id, report)


def _with_command(report: RequestReport) -> RequestReport:
    """Name the command that settles what is uncertain."""
    if report.explanation.verdict.action is not Action.UNCERTAIN:
        return report
    return msgspec.structs.replace(report, follows=f"{report.follows}: lash-redis abandon says that you accept it")


def _for_people(process_id: str, report: RequestReport) -> str:
    lines = [f"{process_id}: {printable(report.follows)}"]
    request = report.request
    if request is not None and not report.recorded:
        when = moment(request.requested_at_ms, report.explanation.row.now_ms)
        reason = f": {printable(request.reason)}" if request.reason else ""
        lines.append(f"an earlier request stands, by {printable(request.requested_by)}{reason} ({when})")
    return "\n".join(lines)
