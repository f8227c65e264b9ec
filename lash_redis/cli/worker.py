"""``lash-redis worker``: run a pool of worker processes, until a signal asks it to leave.

SIGTERM or Ctrl-C drains: work that runs may finish within the grace, the rest is given back, settled or reported. A
second one, a second later or more, shortens the grace to nothing and still drains. Exit code 0: drained (the report on
standard output says what was abandoned); 4: something had to be left; 1: a fault; 2: bad settings, or nothing to run.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from lash_redis.core.checks import DEFAULT_LEASE_TTL_MS
from lash_redis.core.errors import LashError

if TYPE_CHECKING:
    from lash_redis.pool.settings import PoolSettings
    from lash_redis.pool.supervisor import PoolEnd

_BAD_SETTINGS = 2


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    text = (__doc__ or "").replace("``", "")
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "worker", help="run a pool of worker processes", description=text, formatter_class=_Formatter
    )
    add = parser.add_argument
    add("target", metavar="MODULE:ATTR", help="where the Lash is whose tasks are run, like shop.tasks:lash")
    add("--workers", type=int, default=1, metavar="N", help="worker processes")
    add("--concurrency", type=int, default=64, metavar="N", help="runs at a time in each of them")
    add("--queues", default="default", metavar="A,B", help="queues to serve, in this order")
    add("--name", default=None, metavar="NAME", help="owners are called NAME/1 and so on (default: the machine's name)")
    add("--lease-ttl", type=_ms, default=DEFAULT_LEASE_TTL_MS, metavar="S", help="seconds a lease lasts (default: 30)")
    add("--grace", type=_ms, default=20_000, metavar="S", help="seconds that a drain lets work finish (default: 20)")
    add("--cancel", type=_ms, default=3_000, metavar="S", help="seconds that interrupted work has then (default: 3)")
    add("--drain", type=_ms, default=4_000, metavar="S", help="seconds for the last writes then (default: 4)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the pool; return its exit code."""
    if sys.platform == "win32":
        print(
            "lash-redis: a pool runs on Linux, or on macOS for development; on Windows only clients do", file=sys.stderr
        )
        return _BAD_SETTINGS
    from lash_redis.pool import signals

    signals.block_signals()  # until the pool listens: as pid 1 one that came before would be lost
    import asyncio

    from lash_redis.pool.logs import log_to_stderr
    from lash_redis.pool.supervisor import Supervisor

    try:
        settings = _settings(args)
    except LashError as error:
        print(f"lash-redis: {error}", file=sys.stderr)
        return _BAD_SETTINGS
    log_to_stderr()
    return _told(asyncio.run(Supervisor(settings, lambda line: print(line, file=sys.stderr, flush=True)).run()))


def _settings(args: argparse.Namespace) -> PoolSettings:
    from lash_redis.pool.settings import PoolSettings, node_name
    from lash_redis.worker.settings import WorkerSettings

    return PoolSettings(
        target=args.target,
        workers=args.workers,
        name=args.name or node_name(),
        worker=WorkerSettings(
            queues=tuple(args.queues.split(",")),
            concurrency=args.concurrency,
            lease_ttl_ms=args.lease_ttl,
            grace_ms=args.grace,
            cancel_ms=args.cancel,
            drain_ms=args.drain,
        ),
    )


def _told(end: PoolEnd) -> int:
    import msgspec

    if end.text:
        print(f"lash-redis: {end.text}", file=sys.stderr)
    else:
        print(msgspec.json.encode(end.report).decode(), flush=True)
    return end.exit_code


def _ms(text: str) -> int:
    """Return seconds, as a user writes them, in ms."""
    try:
        return round(float(text) * 1000)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"expected a number of seconds, got {text!r}") from None


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description, and shows a default unless the help text does."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        return (
            text
            if "(default" in text or action.default in (None, argparse.SUPPRESS)
            else super()._get_help_string(action)
        )
