"""``lash-redis pause``: let nothing of a queue or of a task begin until it is resumed. What runs goes on."""

from __future__ import annotations

import argparse
import functools
import shlex
from typing import Any

from lash_redis.cli.connect import answer
from lash_redis.cli.queue_or_task import add_queue_or_task
from lash_redis.cli.render import json_text, printable
from lash_redis.cli.requests import text
from lash_redis.core.liveness import node_name
from lash_redis.core.model import PauseRequest
from lash_redis.core.timing import wall_ms
from lash_redis.operate.pausing import in_words, paused_view, why_unknown
from lash_redis.registry.registry import ProcessRegistry


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "pause", help="let nothing of a queue or of a task begin", description=__doc__
    )
    who = "who pauses it, up to 256 bytes; default: this machine's name"
    parser.add_argument("--by", type=text("--by", 256), help=who)
    parser.add_argument("--reason", type=text("--reason", 4096), help="why, up to 4096 bytes; ps and show say it")
    add_queue_or_task(parser)
    parser.set_defaults(run=functools.partial(answer, verb=_pause))


async def _pause(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    request = PauseRequest(args.by or node_name(), wall_ms(), args.reason)
    paused = await registry.pause(request, queue=args.queue, task=args.task)
    if args.json:
        return json_text(paused_view(paused))
    which = f"--queue {args.queue}" if args.task is None else f"--task {shlex.quote(args.task)}"
    earlier = "" if paused.request == request else " (an earlier pause stands)"
    done = printable(f"{in_words(paused)}{earlier}; lash-redis resume {which} ends it")
    unknown = await why_unknown(registry, queue=args.queue, task=args.task)
    return f"{done}\nmind: {printable(unknown)}" if unknown else done
