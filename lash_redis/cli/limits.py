"""``lash-redis limits``: each limit with what it allows, how many slots are taken, and which keys wait."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from lash_redis.cli.connect import add_options, answer
from lash_redis.cli.render import json_text, printable
from lash_redis.operate.limits import in_words, limit_view
from lash_redis.registry.registry import ProcessRegistry


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "limits", help="list limits and rates, and what waits for them", description=__doc__
    )
    add_options(parser)
    parser.set_defaults(run=functools.partial(answer, verb=_limits))


async def _limits(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    states = await registry.limits()
    if args.json:
        return json_text({"limits": [limit_view(each) for each in states]})
    if not states:
        return "no task has declared a limit here"
    return "\n".join(printable(in_words(each)) for each in states)
