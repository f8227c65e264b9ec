"""``lash-redis limits``: each limit with what it allows, how many slots are taken, and which keys wait."""

from __future__ import annotations

import argparse
import functools
import shlex
from collections.abc import Iterator
from typing import Any, Final

from lash_redis.cli.connect import add_options, answer
from lash_redis.cli.render import json_text, loud, printable
from lash_redis.core.timing import wall_ms
from lash_redis.operate.limits import (
    MOST_KEYS,
    Limit,
    in_words,
    key_in_words,
    limit_view,
    limits_of,
    otherwise_in_words,
)
from lash_redis.registry.registry import ProcessRegistry

_MOST_KEYS: Final = 5  # of each limit, unless one is named


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "limits", help="list limits and rates, and what waits for them", description=__doc__
    )
    parser.add_argument(
        "name", nargs="?", default="", help="of this limit, or of the one that this task has, with more keys"
    )
    add_options(parser)
    parser.set_defaults(run=functools.partial(answer, verb=_limits))


async def _limits(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    found = await limits_of(registry, args.name)
    if args.json:
        return json_text({"limits": [limit_view(each) for each in found]})
    if not found:
        return f"there is no limit {printable(args.name)!r} here" if args.name else "no task has declared a limit here"
    return "\n".join(line for each in found for line in _lines(each, MOST_KEYS if args.name else _MOST_KEYS))


def _lines(limit: Limit, most: int) -> Iterator[str]:
    yield printable(in_words(limit.state))
    if otherwise := otherwise_in_words(limit.state, wall_ms()):
        yield f"  {loud(printable(otherwise))}"
    keys = limit.keys.keys
    shown = keys[:most]
    for key in shown:
        yield f"  {printable(key_in_words(key, limit.state.policy))}"
    if limit.is_cut:
        yield f"  … of {limit.keys.number} keys that wait these have the most of the first {len(keys)} that were read"
    elif len(keys) > len(shown):
        name = shlex.quote(printable(limit.state.policy.scope.removeprefix("=")))
        all_of_them = " --json" if most == MOST_KEYS else ""
        yield f"  … and {len(keys) - len(shown)} more keys: lash-redis limits {name}{all_of_them}"
