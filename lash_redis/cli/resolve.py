"""``lash-redis resolve ID...``: say what became of abandoned processes. The fact stays; this stands beside it."""

from __future__ import annotations

import argparse
from typing import Any, Final

import msgspec

from lash_redis.cli.connect import REFUSED, add_options, add_process_id, answer, checked_by, refused
from lash_redis.cli.render import json_text, printable
from lash_redis.cli.requests import text
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.outcomes import Resolution, ResolutionKind
from lash_redis.core.times_in_words import moment
from lash_redis.core.timing import wall_ms
from lash_redis.operate.resolving import ResolveReport, resolve, resolve_view
from lash_redis.registry.registry import ProcessRegistry

_KINDS: Final = [kind.value for kind in ResolutionKind]


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "resolve", help="say what became of abandoned processes", description=__doc__
    )
    add_process_id(parser, nargs="+")
    what = "what was found out: it happened, it did not, or it stays unknown and nobody will look"
    parser.add_argument("--as", dest="kind", required=True, choices=_KINDS, help=what)
    parser.add_argument("--by", required=True, type=text("--by", 256), help="who says so, up to 256 bytes")
    parser.add_argument("--reason", required=True, type=text("--reason", 4096), help="how they know, up to 4096 bytes")
    parser.add_argument("--value", type=checked_by(_value), help="what it brought, if it happened: as JSON")
    force = "also while its starter is alive on this machine: it may still be done"
    parser.add_argument("--force", action="store_true", help=force)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Answer ``resolve``; return the exit code: 1 if one was refused, or resolved otherwise before."""
    args.refused, args.refusals = False, []
    code = answer(args, _resolve)
    for why in args.refusals:
        refused(why)
    return code or (REFUSED if args.refused else 0)


def _value(given: str) -> Any:
    try:
        return msgspec.json.decode(given)
    except msgspec.DecodeError:
        raise SettingsError(f"expected --value to be JSON, such as 7 or '\"receipt 7\"', got {shown(given)}") from None


async def _resolve(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    resolution = Resolution(args.kind, args.by, wall_ms(), args.reason, args.value)
    reports = await resolve(registry, args.id, resolution, force=args.force)
    args.refused = any(report.refused or report.says_otherwise(resolution) for report in reports)
    if args.json:
        return json_text({"processes": [resolve_view(report) for report in reports]})
    args.refusals = [report.refused for report in reports if report.refused]
    found = [(report, report.resolution) for report in reports]
    return "\n".join(_for_people(report, stands, resolution.at_ms) for report, stands in found if stands is not None)


def _for_people(report: ResolveReport, stands: Resolution, now_ms: int) -> str:
    if report.recorded:
        return f"{report.process_id}: resolved as {stands.kind.value}"
    reason = f": {printable(stands.reason)}" if stands.reason else ""
    when = moment(stands.at_ms, now_ms)
    return (
        f"{report.process_id}: an earlier resolution stands, {stands.kind.value}, "
        f"by {printable(stands.by)}{reason} ({when})"
    )
