"""``lash-redis cancel ID``: record a wish that the work stop; what nobody holds and nobody started ends at once."""

from __future__ import annotations

import argparse
from typing import Any

from lash_redis.cli.connect import add_options, add_process_id, add_request, answer
from lash_redis.core.model import CancelRequest, RecoveryDisposition
from lash_redis.core.timing import wall_ms
from lash_redis.core.verdict import Action
from lash_redis.operate.requests import Asked, asked_text
from lash_redis.registry.registry import ProcessRegistry


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "cancel", help="ask that the work of a process stop", description=__doc__
    )
    add_process_id(parser)
    add_request(parser)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Answer ``cancel``; return the exit code."""
    return answer(args, _cancel)


async def _cancel(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    request = CancelRequest(args.by, wall_ms(), args.reason)
    record = await registry.request_cancel(args.id, request)
    return await asked_text(registry, args, request, record.cancel_request, _what_follows)


def _what_follows(asked: Asked) -> str:
    row = asked.row
    if row.is_terminal:
        return f"it is {row.status.value}"
    if row.disposition is RecoveryDisposition.EXTERNALLY_OWNED:
        return "it happens outside: its outside actor is shown the request, no more; that actor ends it, or an abandon"
    if not asked.sight.facts.takeable and row.holder is not None:
        return f"{row.holder.owner_id} holds it and is told; the work ends as cancelled if it lets itself be stopped"
    if asked.sight.verdict.action is Action.UNCERTAIN:
        return "it is uncertain, and a cancel settles no uncertainty: lash-redis abandon says that you accept it"
    return f"nobody holds it: the next sweep {asked.sight.what_a_sweep_does}"
