"""``lash-redis abandon ID``: permit, durably and by name, that the result stay unknown. A sweep settles it."""

from __future__ import annotations

import argparse
from typing import Any

from lash_redis.cli.connect import add_options, add_process_id, add_request, answer
from lash_redis.core.model import AbandonRequest
from lash_redis.core.timing import wall_ms
from lash_redis.operate.explain import Life
from lash_redis.operate.requests import Asked, asked_text
from lash_redis.registry.registry import ProcessRegistry


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "abandon", help="accept that the result of a process stays unknown", description=__doc__
    )
    add_process_id(parser)
    add_request(parser)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Answer ``abandon``; return the exit code."""
    return answer(args, _abandon)


async def _abandon(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    request = AbandonRequest(args.by, wall_ms(), args.reason)
    record = await registry.request_abandon(args.id, request)
    return await asked_text(registry, args, request, record.abandon_request, _what_follows)


def _what_follows(asked: Asked) -> str:
    row, starter = asked.row, asked.sight.starter
    if row.is_terminal:
        return f"it is {row.status.value}"
    if not asked.sight.facts.takeable and row.holder is not None:
        return (
            f"{row.holder.owner_id} holds it: its work is asked to stop, and says itself how it ended; "
            "if it never does, a sweep writes abandoned once the lease has ended"
        )
    settles = (
        "the next sweep writes abandoned: within seconds, while any worker runs "
        "(if its owner comes back first, it is asked to stop)"
    )
    if starter is not None and starter.life is Life.ALIVE:
        return f"{settles}. Mind: its starter is alive ({starter.text}) and may still be running it"
    return settles
