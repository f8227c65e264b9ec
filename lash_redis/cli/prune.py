"""``lash-redis prune``: forget processes that have ended, with their results. What has not ended is never touched."""

from __future__ import annotations

import argparse
import functools
from datetime import UTC, datetime
from typing import Any

from lash_redis.cli.connect import add_options, answer, checked_by
from lash_redis.cli.parsing import age_ms
from lash_redis.cli.render import json_text
from lash_redis.cli.requests import text
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.outcomes import Resolution, ResolutionKind
from lash_redis.core.timing import wall_ms
from lash_redis.operate.pruning import prune, prune_view
from lash_redis.registry.registry import ProcessRegistry


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "prune", help="forget processes that ended long ago", description=__doc__
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--older-than", type=checked_by(age_ms), metavar="AGE", help="what ended longer ago: 30d, 12h, 90min, 2w"
    )
    which.add_argument(
        "--before",
        type=checked_by(_moment_ms),
        metavar="TIME",
        help="what ended before a day or a moment: 2026-01-31 or 2026-01-31T12:00; UTC unless it says otherwise",
    )
    parser.add_argument(
        "--unresolved",
        action="store_true",
        help="also what was abandoned and nobody has resolved: it is resolved as accepted first (needs --by, --reason)",
    )
    parser.add_argument("--by", type=text("--by", 256), help="who accepts that, up to 256 bytes")
    parser.add_argument("--reason", type=text("--reason", 4096), help="why, up to 4096 bytes")
    parser.add_argument("--dry-run", action="store_true", help="forget nothing, and say how many it would be")
    add_options(parser)
    parser.set_defaults(run=functools.partial(_run, parser))


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    if args.unresolved and None in (args.by, args.reason):
        parser.error("expected --unresolved with --by and --reason: who accepts that nobody will know, and why")
    if not args.unresolved and (args.by or args.reason):
        parser.error("expected --by and --reason only with --unresolved: they stand on what was abandoned")
    return answer(args, _prune)


async def _prune(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    accepting = Resolution(ResolutionKind.ACCEPTED, args.by, wall_ms(), args.reason) if args.unresolved else None
    report = await prune(
        registry,
        before_ms=args.before,
        older_than_ms=args.older_than,
        accepting=accepting,
        only_count=args.dry_run,
    )
    if args.json:
        return json_text(prune_view(report, only_count=args.dry_run))
    does = "would forget" if args.dry_run else "forgot"
    lines = [f"{does} {_counted(report.processes, '')} of namespace {args.namespace}"]
    if report.accepted:
        lines.append(f"{_counted(report.accepted, 'abandoned ')} resolved as accepted first")
    if args.unresolved and args.dry_run:
        lines.append(f"and {_counted(report.unresolved, 'abandoned ')}, which it would resolve as accepted first")
    elif report.unresolved:
        words = f"{_counted(report.unresolved, 'abandoned ')} of that time not resolved: not forgotten"
        lines += [words, "  lash-redis resolve says what became of one; prune --unresolved accepts that nobody knows"]
    return "\n".join(lines)


def _counted(number: int, which: str) -> str:
    return f"{number} {which}process{'' if number == 1 else 'es'}"


def _moment_ms(value: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
        ms = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        ms = -1
    if ms < 0:
        raise SettingsError(f"expected --before to be a day or a moment such as 2026-01-31T12:00, got {shown(value)}")
    return ms
