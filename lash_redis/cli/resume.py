"""``lash-redis resume``: let a queue or a task begin again that was paused."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from lash_redis.cli.connect import answer
from lash_redis.cli.queue_or_task import add_queue_or_task
from lash_redis.cli.render import json_text, printable
from lash_redis.operate.pausing import in_words, paused_view
from lash_redis.registry.registry import ProcessRegistry


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "resume", help="let a paused queue or task begin again", description=__doc__
    )
    add_queue_or_task(parser)
    parser.set_defaults(run=functools.partial(answer, verb=_resume))


async def _resume(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    before = [each for each in await registry.pauses() if (each.queue, each.task) == (args.queue, args.task)]
    await registry.resume(queue=args.queue, task=args.task)
    if args.json:
        return json_text({"queue": args.queue, "task": args.task, "ended": [paused_view(each) for each in before]})
    what = f"queue {args.queue!r}" if args.task is None else f"task {args.task!r}"
    if not before:
        return printable(f"{what} was not paused")
    return printable(f"{what} begins again; {in_words(before[0]).replace(' is ', ' was ', 1)}")
