"""The command ``lash-redis``: each verb is a module of this package.

A verb's module has ``add_parser(subparsers)``, which sets ``run``: a function from the parsed arguments to the exit
code. Only the module of the verb that was named is imported, so that no verb waits for what another one imports.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from lash_redis.cli.parsing import Parser

VERBS = (
    "worker", "ps", "show", "cancel", "abandon", "replay", "resolve", "pause", "resume", "limits",
    "schedules", "prune",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; a command line that cannot be understood exits with 2."""
    given = sys.argv[1:] if argv is None else list(argv)
    args = _parser(given[:1]).parse_args(given)
    code: int = args.run(args)
    return code


def _parser(named: list[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="lash-redis", description="A worker pool on Redis in which every piece of work declares its recovery."
    )
    parser.add_argument("--version", action="version", version=f"lash-redis {_version()}")
    subparsers: Any = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in [verb for verb in VERBS if verb in named] or VERBS:
        importlib.import_module(f"lash_redis.cli.{verb}").add_parser(subparsers)
    return parser


def _version() -> str:
    try:
        return metadata.version("lash-redis")
    except metadata.PackageNotFoundError:
        return "(not installed)"
