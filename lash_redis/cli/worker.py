"""``lash-redis worker``: run a pool of worker processes, until a signal asks it to leave.

SIGTERM or Ctrl-C drains: work that runs may finish within the grace, the rest is given back, settled or reported. A
second one, a second later or more, shortens the grace to nothing and still drains. Exit code 0: drained (the report on
standard output, one line of JSON, says what was abandoned); 4: something had to be left; 1: a fault, or no worker
process ever became ready; 2: bad settings, or nothing to run. A report that cannot be written changes no exit code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO, cast

from lash_redis.core.error_text import shown
from lash_redis.core.errors import LashError, SettingsError
from lash_redis.core.fields import Field
from lash_redis.core.settings import Setting
from lash_redis.pool.settings import POOL_SETTINGS, PoolSettings
from lash_redis.worker.settings import WORKER_SETTINGS, settings_from

if TYPE_CHECKING:
    from lash_redis.pool.supervisor import PoolEnd

_BAD_SETTINGS = 2
_LAST_LINES_S = 0.2


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    text = (__doc__ or "").replace("``", "")
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "worker",
        help="run a pool of worker processes",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for field in (*POOL_SETTINGS.values(), *WORKER_SETTINGS.values()):
        if field.about.flag:
            _add_setting(parser, field)
    parser.add_argument("--namespace", action=_Elsewhere, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the pool; return its exit code. This OS process ends soon after, whatever thread would keep it."""
    if sys.platform == "win32":
        print(
            "lash-redis: a pool runs on Linux, or on macOS for development; on Windows only clients do", file=sys.stderr
        )
        return _BAD_SETTINGS
    from lash_redis.pool import signals, streams

    signals.block_signals()  # until the pool handles them: the kernel drops a signal that pid 1 does not handle yet
    signals.ignore_signals()  # before the pool handles them, and after: its report says how it ended
    closed = streams.hold_standard_streams()  # before anything else opens a file
    sys.stderr = cast("TextIO", streams.background_stderr())
    import asyncio

    from lash_redis.pool.logs import log_to_stderr

    try:
        settings = settings_of(args)
    except LashError as error:
        print(f"lash-redis: {error}", file=sys.stderr)
        streams.background_stderr().finish(_LAST_LINES_S)
        return _BAD_SETTINGS
    log_to_stderr()
    return asyncio.run(_run_pool(settings, can_report=streams.STDOUT not in closed))


async def _run_pool(settings: PoolSettings, *, can_report: bool) -> int:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from lash_redis.pool.leaving import exit_within
    from lash_redis.pool.signals import block_signals
    from lash_redis.pool.streams import background_stderr
    from lash_redis.pool.supervisor import Supervisor

    # Only the main thread takes signals: as the interpreter ends, a handler gives way to the default, which kills.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(initializer=block_signals))
    supervisor = Supervisor(settings, lambda line: background_stderr().write(f"{line}\n"))
    end = await supervisor.run()
    _tell(end, supervisor.drain.telling_s, can_report=can_report)
    exit_within(_LAST_LINES_S, end.exit_code)  # a name that does not resolve keeps a thread for as long as it likes
    return end.exit_code


def settings_of(args: argparse.Namespace) -> PoolSettings:
    """Return the settings that a command line gives.

    Raises:
        SettingsError: a value is outside what is allowed.
    """
    given = vars(args)
    for field in (*POOL_SETTINGS.values(), *WORKER_SETTINGS.values()):
        if field.name in given:
            _check(field, given[field.name])
    pool = {name: given[name] for name in POOL_SETTINGS if name in given}
    worker = {name: given[name] for name in WORKER_SETTINGS if name in given}
    return PoolSettings(**pool, worker=settings_from(worker))


def _check(field: Field[Setting], value: Any) -> None:
    """Check what one flag gave, in the words of the command line: the flag's name, and seconds.

    Raises:
        SettingsError: the value is outside what is allowed.
    """
    setting = field.about
    try:
        field.checked(setting.flag, value)
    except SettingsError as error:
        if setting.is_time and setting.check.bounds is not None:
            least, most = map(_seconds, setting.check.bounds)
            raise SettingsError(
                f"expected {setting.flag} to be seconds from {least} to {most}, got {_seconds(value)}"
            ) from None
        if not setting.flag.startswith("-") or setting.flag in str(error):
            raise
        raise SettingsError(f"{setting.flag}: {error}") from None


class _Extend(argparse.Action):
    """Adds the names of a flag to those that it has given before."""

    def __call__(self, _parser: Any, namespace: argparse.Namespace, values: Any, _flag: str | None = None) -> None:
        """Keep what was given."""
        setattr(namespace, self.dest, (*getattr(namespace, self.dest, ()), *values))


class _Elsewhere(argparse.Action):
    """Refuses what the other verbs take, and says where a pool has it from."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        """Refuse."""
        parser.error("a pool takes its namespace from its Lash: Lash(namespace=...)")


def _add_setting(parser: argparse.ArgumentParser, field: Field[Setting]) -> None:
    """Add one setting. A setting that is not given is left out of the arguments: its default stands in the struct."""
    setting = field.about
    if not setting.flag.startswith("-"):
        parser.add_argument(field.name, metavar=setting.metavar, help=setting.meaning)
        return
    if field.type is bool:
        parser.add_argument(
            setting.flag,
            dest=field.name,
            action="store_const",
            const=not field.default,
            default=argparse.SUPPRESS,
            help=setting.meaning,
        )
        return
    read, written = (_ms, _seconds) if setting.is_time else _TEXTS[field.type]
    meaning = f"seconds {setting.meaning}" if setting.is_time else setting.meaning
    parser.add_argument(
        setting.flag,
        dest=field.name,
        type=read,
        action=_Extend if field.type == tuple[str, ...] else "store",
        default=argparse.SUPPRESS,
        metavar=setting.metavar,
        help=f"{meaning} (default: {setting.default or written(field.default)})".replace("%", "%%"),
    )


def _tell(end: PoolEnd, within_s: float, *, can_report: bool) -> None:
    """Write the report on standard output, and on standard error why the pool ended if it was not asked to."""
    import msgspec

    from lash_redis.pool.streams import STDOUT, BackgroundWriter, background_stderr

    stderr = background_stderr()
    if end.text:
        stderr.write(f"lash-redis: {end.text}\n")
    if end.report is not None:
        report, stdout = msgspec.json.encode(end.report).decode(), BackgroundWriter(STDOUT)
        if can_report:
            stdout.write(f"{report}\n")
        if not (can_report and stdout.finish(within_s)):
            stderr.write(f"lash-redis: the report could not be written to standard output: {report}\n")
    stderr.finish(_LAST_LINES_S)


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an integer, got {shown(text)}") from None


def _ms(text: str) -> int:
    """Return seconds, as a user writes them, in ms."""
    try:
        return round(float(text) * 1000)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"expected a number of seconds, got {shown(text)}") from None


def _seconds(ms: int) -> str:
    return f"{ms / 1000:g}"


# How a value that is no time is read from the command line, and shown.
_TEXTS: dict[Any, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    int: (_int, str),
    str: (str, str),
    str | None: (str, str),
    tuple[str, ...]: (lambda text: tuple(text.split(",")), ",".join),
}
