"""``lash-redis cancel``: ask that the work of one process stop, or that of many.

One is named by its id. Many are all that the filters mean: without ``--yes`` they are only counted and shown. What
nobody holds ends at once if recovery could run it again.
"""

from __future__ import annotations

import argparse
import functools
from typing import Any

from lash_redis.cli.connect import answer
from lash_redis.cli.many import add_filters, told, which_of
from lash_redis.cli.requests import add_request_verb, asked
from lash_redis.core.errors import SettingsError
from lash_redis.core.places import BY_URGENCY
from lash_redis.operate.many import cancel_many
from lash_redis.operate.requests import cancel
from lash_redis.registry.registry import ProcessRegistry


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    help_text = "ask that the work of a process, or of many, stop"
    parser = add_request_verb(subparsers, "cancel", cancel, help_text=help_text, description=__doc__, nargs="?")
    names = [phase.value for phase in BY_URGENCY]
    parser.add_argument("--phase", choices=names, metavar="PHASE", help=f"only one of: {', '.join(names)}")
    add_filters(parser)
    parser.set_defaults(run=functools.partial(_run, parser))


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    if (args.yes or args.id is not None) and None in (args.by, args.reason):
        parser.error("the following arguments are required: --by, --reason")
    return answer(args, _cancel)


async def _cancel(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    which = which_of(args)
    if args.id is None:
        by, reason = args.by or "nobody", args.reason or "to count"  # of a request that is not made
        report = await cancel_many(registry, which, by, reason, most=args.most, only_count=not args.yes)
        return told(report, args, "cancel")
    if not which.is_all:
        raise SettingsError("expected an ID or filters, got both")
    return await asked(cancel, registry, args)
