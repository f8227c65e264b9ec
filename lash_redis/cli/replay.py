"""``lash-redis replay``: submit again what has ended, as new processes that name the old ones.

They are named by their ids; or by the state in which they ended and by filters, and are only counted and shown then,
unless there is ``--yes``. The same replay sent again makes no second process. Of what was abandoned only what is
resolved as did_not_happen or accepted is submitted, and not while its starter is alive on this machine.
"""

from __future__ import annotations

import argparse
from typing import Any

from lash_redis.cli.connect import REFUSED, add_options, add_process_id, answer, refused
from lash_redis.cli.many import add_filters, told, which_of
from lash_redis.cli.render import json_text, printable
from lash_redis.core.errors import SettingsError
from lash_redis.core.model import ProcessStatus
from lash_redis.operate.many import replay, replay_many
from lash_redis.registry.calls.replaying import SUBMITTED, replay_id
from lash_redis.registry.registry import ProcessRegistry

_STATES = [status.value for status in ProcessStatus if status is not ProcessStatus.RUNNING]


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "replay", help="submit again what has ended", description=__doc__
    )
    add_process_id(parser, nargs="*")
    parser.add_argument("--state", choices=_STATES, metavar="STATE", help=f"what ended so: {', '.join(_STATES)}")
    add_filters(parser)
    force = "also abandoned work whose starter is alive on this machine: it may be done twice"
    parser.add_argument("--force", action="store_true", help=force)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Answer ``replay``; return the exit code: 1 if one of the processes that were named was refused."""
    args.refused, args.refusals = False, []
    code = answer(args, _replay)
    for why in args.refusals:
        refused(why)
    return code or (REFUSED if args.refused else 0)


async def _replay(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    which = which_of(args)
    if not args.id:
        if which.status is None:
            raise SettingsError("expected IDs, or --state and filters, got neither")
        report = await replay_many(registry, which, most=args.most, only_count=not args.yes, force=args.force)
        return told(report, args, "submit again")
    if not which.is_all:
        raise SettingsError("expected IDs or filters, got both")
    answers = await replay(registry, args.id, force=args.force)
    args.refused = any(each not in SUBMITTED for each in answers)
    found = list(zip(args.id, answers, strict=True))
    if args.json:
        return json_text(
            {
                "processes": [
                    {"id": old, "became": became, "replay": replay_id(old) if became in SUBMITTED else None}
                    for old, became in found
                ]
            }
        )
    args.refusals = [f"{old}: {became}" for old, became in found if became not in SUBMITTED]
    return "\n".join(printable(f"{old}: {became} as {replay_id(old)}") for old, became in found if became in SUBMITTED)
