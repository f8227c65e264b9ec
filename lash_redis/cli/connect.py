"""Open the registry that a command's options name, run a verb on it, and turn the result into an exit code.

A verb is a coroutine function that returns the text to print. What the registry refuses becomes one line on standard
error and exit code 1. A value that no verb would take is refused by argparse, with exit code 2. No message shows a
password.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from lash_redis.cli.parsing import Parser, id_in
from lash_redis.cli.render import printable
from lash_redis.core.checks import checked_namespace
from lash_redis.core.errors import LashError, SettingsError
from lash_redis.operate.connect import NoServer, open_registry
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.url_forms import checked_url
from lash_redis.registry.transport.urls import URL_VARIABLE

Verb = Callable[[ProcessRegistry, argparse.Namespace], Awaitable[str]]

REFUSED: Final = 1
INTERRUPTED: Final = 130  # as shells report it: 128 + SIGINT


class _OutputRefused(Exception):
    """Standard output takes no more: its disk is full."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what every verb takes: where the registry is, and in which form to answer."""
    where = parser.add_argument_group("where")
    where.add_argument(
        "--url",
        type=checked_by(checked_url),
        help=f"redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://; else ${URL_VARIABLE}, else the "
        "project's embedded server",
    )
    where.add_argument("--namespace", type=checked_by(checked_namespace), default="lash", help="default: lash")
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")


def add_process_id(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """Add the id of the process that a verb is about; by ``nargs`` it may be left out, or there may be several."""
    what = "the process ids" if nargs in ("*", "+") else "the process id"
    if nargs in ("?", "*") and isinstance(parser, Parser):
        parser.takes_ids_anywhere = True
    parser.add_argument("id", metavar="ID", type=checked_by(id_in), nargs=nargs, help=what)


def checked_by(check: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return an argparse type that refuses a value in the words of its check."""

    def checked(value: str) -> Any:
        try:
            return check(value)
        except SettingsError as error:
            raise argparse.ArgumentTypeError(printable(str(error))) from None

    return checked


def answer(args: argparse.Namespace, verb: Verb) -> int:
    """Run a verb on the registry that ``args`` name, print its text if there is any, and return the exit code."""
    try:
        if text := asyncio.run(_asked(args, verb)):
            _print(text)
    except BrokenPipeError:
        # The reader closed the pipe (``| head``). What Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except _OutputRefused as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return refused(f"the answer could not be written to standard output: {error}")
    except KeyboardInterrupt:
        return INTERRUPTED
    except LashError as error:
        return refused(str(error))
    except msgspec.DecodeError as error:
        return refused(f"what is stored cannot be read: {error}")
    return 0


def refused(message: str) -> int:
    """Print in one line on standard error why it was refused, and return the exit code."""
    lines = [printable(line.strip()) for line in message.splitlines()]
    print(f"lash-redis: {'; '.join(filter(None, lines))}", file=sys.stderr)
    return REFUSED


def _print(text: str) -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal that cannot show a character
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputRefused(error.strerror or str(error)) from error


async def _asked(args: argparse.Namespace, verb: Verb) -> str:
    try:
        async with open_registry(args.url, args.namespace) as registry:
            return await verb(registry, args)
    except NoServer as error:
        raise SettingsError(
            f"expected --url or ${URL_VARIABLE} to say where the server is, got neither, and {error.why_not_embedded}; "
            "or start a pool first: lash-redis worker MODULE"
        ) from None
