"""What cancel and abandon have in common: the request that stands, and what follows from it."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import msgspec

from lash_redis.cli.render import json_text, moment, printable
from lash_redis.core.errors import UnknownProcess
from lash_redis.core.model import AbandonRequest, CancelRequest
from lash_redis.operate.explain import Sight, look
from lash_redis.operate.views import process_shape, standing_shape, verdict_shape
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

Request = AbandonRequest | CancelRequest


class Asked(msgspec.Struct, frozen=True):
    """A row that was asked to end, as it stands after that."""

    row: Row
    sight: Sight


async def asked_text(
    registry: ProcessRegistry,
    args: argparse.Namespace,
    mine: Request,
    standing: Request | None,
    what_follows: Callable[[Asked], str],
) -> str:
    """Return what to print once a request was recorded; the first one that was made stands.

    Raises:
        UnknownProcess: it was pruned meanwhile.
    """
    row = await registry.row(args.id)
    if row is None:
        raise UnknownProcess(args.id)
    asked = Asked(row, await look(registry, row))
    recorded = standing == mine
    if args.json:
        return json_text(
            {
                "recorded": recorded,
                "request": None if standing is None else msgspec.to_builtins(standing),
                "follows": what_follows(asked),
                "process": process_shape(row),
                "starter": standing_shape(asked.sight.starter),
                "holder": standing_shape(asked.sight.holder),
                "verdict": verdict_shape(asked.sight.facts, asked.sight.verdict),
            }
        )
    lines = [f"{args.id}: {printable(what_follows(asked))}"]
    if standing is not None and not recorded:
        when = moment(standing.requested_at_ms, row.now_ms)
        reason = f": {printable(standing.reason)}" if standing.reason else ""
        lines.append(f"an earlier request stands, by {printable(standing.requested_by)}{reason} ({when})")
    return "\n".join(lines)
