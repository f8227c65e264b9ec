"""From a command's options to an open registry, and from what came of it to an exit code: one path for every verb.

A verb is a coroutine function that returns the text to print. What the registry refuses is one line on standard error
and exit code 1; a value that no verb would take is argparse's, exit code 2. A password is never shown.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from lash_redis.app.connections import URL_VARIABLE
from lash_redis.cli.render import printable
from lash_redis.core.checks import checked_id, checked_namespace, checked_text
from lash_redis.core.errors import LashError, SettingsError
from lash_redis.registry.registry import ProcessRegistry

Verb = Callable[[ProcessRegistry, argparse.Namespace], Awaitable[str]]

REFUSED: Final = 1
INTERRUPTED: Final = 130  # as a shell has it: 128 + SIGINT
_SCHEMES: Final = ("redis", "rediss", "unix")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what every verb takes: where the registry is, and in which form to answer."""
    where = parser.add_argument_group("where")
    where.add_argument(
        "--url",
        type=checked_by(checked_url),
        help=f"redis://, rediss:// or unix://; else ${URL_VARIABLE}, else the project's embedded server",
    )
    where.add_argument("--namespace", type=checked_by(checked_namespace), default="lash", help="default: lash")
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")


def add_process_id(parser: argparse.ArgumentParser) -> None:
    """Add the id of the process that a verb is about."""
    parser.add_argument(
        "id", metavar="ID", type=checked_by(lambda value: checked_id("ID", value)), help="the process id"
    )


def add_request(parser: argparse.ArgumentParser) -> None:
    """Add who asks, and why: both are kept with the process, and both are required."""

    def text(name: str, at_most: int) -> Callable[[str], str]:
        return checked_by(lambda value: checked_text(name, value.strip(), at_most))

    parser.add_argument("--by", required=True, type=text("--by", 256), help="who asks, up to 256 bytes")
    parser.add_argument("--reason", required=True, type=text("--reason", 4096), help="why, up to 4096 bytes")


def checked_by(check: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return an argparse type that refuses a value in the words of its check."""

    def checked(value: str) -> Any:
        try:
            return check(value)
        except SettingsError as error:
            raise argparse.ArgumentTypeError(printable(str(error))) from None

    return checked


def checked_url(value: str) -> str:
    """Return ``value`` if it may be a server's URL. The message does not repeat it: it may hold a password.

    Raises:
        SettingsError: another scheme, or a port that is no number.
    """
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise SettingsError(
            "expected a URL whose parts can be told apart (in a password, / ? # and @ are percent-encoded)"
        ) from None
    if parts.scheme not in _SCHEMES:
        raise SettingsError("expected a URL that begins with redis://, rediss:// or unix://")
    return value


def answer(args: argparse.Namespace, verb: Verb) -> int:
    """Run a verb on the registry that ``args`` name, print its text, and return the exit code."""
    try:
        _print(asyncio.run(_asked(args, verb)))
    except BrokenPipeError:
        # Whoever read has read enough (``| head``). What Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return INTERRUPTED
    except LashError as error:
        return refused(str(error))
    except msgspec.DecodeError as error:
        return refused(f"what is stored cannot be read: {error}")
    return 0


def refused(message: str) -> int:
    """Say in one line on standard error what was refused, and return the exit code."""
    lines = [printable(line.strip()) for line in message.splitlines()]
    print(f"lash-redis: {'; '.join(filter(None, lines))}", file=sys.stderr)
    return REFUSED


def _print(text: str) -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter still gets the rest
    print(text, flush=True)


async def _asked(args: argparse.Namespace, verb: Verb) -> str:
    with _server(args.url) as url:
        registry = ProcessRegistry(url, args.namespace, partitions=None)
        try:
            await _open(registry)
            return await verb(registry, args)
        finally:
            await registry.aclose()


async def _open(registry: ProcessRegistry) -> None:
    try:
        await registry.open()
    except LashError:
        raise
    except (TypeError, ValueError):
        # redis-py's words for a URL with an option that it does not know may quote the URL.
        raise SettingsError("expected a URL that redis-py can use; one of its parts or options is not") from None


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    """Give the server's URL, and keep the embedded server running meanwhile if it is that one."""
    given = url or os.environ.get(URL_VARIABLE)
    if given:
        yield checked_url(given)
        return
    from lash_redis.embedded.connect import open_embedded
    from lash_redis.embedded.locks import SERVER
    from lash_redis.embedded.project import data_folder

    data = data_folder()
    if not (data / SERVER).exists():
        raise SettingsError(
            f"expected --url or ${URL_VARIABLE} to say where the server is, got neither, "
            f"and no embedded server has left data in {data}"
        )
    server = open_embedded(data=data)
    try:
        yield server.url
    finally:
        server.close()
