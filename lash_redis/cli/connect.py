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
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from lash_redis.app.server_source import URL_VARIABLE
from lash_redis.cli.render import printable
from lash_redis.core.checks import checked_id, checked_namespace
from lash_redis.core.errors import LashError, SettingsError
from lash_redis.registry.registry import ProcessRegistry

Verb = Callable[[ProcessRegistry, argparse.Namespace], Awaitable[str]]

REFUSED: Final = 1
INTERRUPTED: Final = 130  # as shells report it: 128 + SIGINT
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


def checked_by(check: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return an argparse type that refuses a value in the words of its check."""

    def checked(value: str) -> Any:
        try:
            return check(value)
        except SettingsError as error:
            raise argparse.ArgumentTypeError(printable(str(error))) from None

    return checked


def checked_url(value: str) -> str:
    """Return ``value`` if it may be a server's URL. The error does not repeat the value, which may hold a password.

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
        # The reader closed the pipe (``| head``). What Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
        # For an option in the URL that redis-py does not know, its message may quote the URL.
        raise SettingsError("expected a URL that redis-py can use; one of its parts or options is not") from None


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    """Yield the server's URL; if it is the embedded server's, keep that server running meanwhile."""
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
