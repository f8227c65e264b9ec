"""Logging for a pool whose user has set up none: the lines of this package, and what tasks log themselves."""

from __future__ import annotations

import atexit
import logging
import os
import site
import sysconfig
from collections.abc import Iterable

from lash_redis.core.current import running
from lash_redis.core.event_logging import escaped, line
from lash_redis.pool.streams import background_stderr

_LAST_LINES_S = 0.25
_OURS = "lash_redis"
_LIBRARIES = (sysconfig.get_path(each) for each in ("stdlib", "platstdlib", "purelib", "platlib"))
_INSTALLED = tuple({f"{folder}{os.sep}" for folder in (*_LIBRARIES, *site.getsitepackages())})


class _OnlyHandler(logging.StreamHandler):  # type: ignore[type-arg]  # the class has parameters only in its stubs
    """Writes what no other handler gets: user code may set up logging later, and then each line is shown once.

    Args:
        own: the first parts of the names of the modules that are the user's own.
    """

    def __init__(self, own: Iterable[str]) -> None:
        super().__init__(background_stderr())
        self._own = frozenset(own)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass if this is the only handler that gets it, and somebody wants to see it."""
        level, others = _on_its_way(logging.getLogger(record.name), self)
        if others or not (record.levelno >= logging.WARNING or level or self._is_own(record)):
            return False
        return bool(super().filter(record))

    def _is_own(self, record: logging.LogRecord) -> bool:
        """Say whether it is of the user's own code: by its logger's name, or by where it was logged."""
        is_named = record.name == "root" or record.name.partition(".")[0] in self._own
        return is_named or not record.pathname.startswith(_INSTALLED)


def _on_its_way(logger: logging.Logger | None, to: logging.Handler) -> tuple[bool, bool]:
    """Return whether a level was set for this logger, apart from that of all, and whether it has other handlers."""
    has_level = False
    while logger is not None:
        if any(each is not to and not isinstance(each, logging.NullHandler) for each in logger.handlers):
            return has_level, True
        if not logger.propagate:
            break
        has_level = has_level or (logger.parent is not None and logger.level != logging.NOTSET)
        logger = logger.parent
    return has_level, False


class _Lines(logging.Formatter):
    """Formats an event as it is, and what others log with its logger and the process whose code it is.

    Further lines of one record are indented, so that none of them looks like a record of its own. The traceback of an
    event is shown so, and no field of its line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return super().format(record).replace("\n", "\n    ")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """Return its first line."""
        current = running()
        whose = f"process_id={current.id} " if current is not None else ""
        by = "" if record.name == _OURS else f"{whose}{record.name}: "
        return f"{record.asctime} {record.process} {record.levelname} {by}{_text_of(record)}"

    def usesTime(self) -> bool:  # noqa: N802 - as above
        """Return True: every line has its time."""
        return True


def _text_of(record: logging.LogRecord) -> str:
    fields = getattr(record, "fields", None) if record.name == _OURS else None
    if not (isinstance(fields, dict) and fields.get("traceback")):
        return record.message
    first = line(str(record.__dict__.get("event")), fields | {"traceback": None})
    return "\n".join([first, *map(escaped, fields["traceback"].splitlines())])


def log_to_stderr(own: Iterable[str] = ()) -> None:
    """Write the log to standard error, unless logging is set up already, or until it is set up otherwise.

    It shows ``lash_redis`` and the user's own code from INFO on, and other packages from WARNING on. It is written in
    the background, so that a reader that has stopped reading stops nobody here.

    Args:
        own: the names of modules that are the user's own, such as the one with the ``Lash``.
    """
    root, ours = logging.getLogger(), logging.getLogger(_OURS)
    if any(not isinstance(each, logging.NullHandler) for each in root.handlers):
        return
    handler = _OnlyHandler(name.partition(".")[0] for name in own)
    handler.setFormatter(_Lines())
    root.addHandler(handler)
    atexit.register(background_stderr().finish, _LAST_LINES_S)
    if root.level == logging.WARNING:  # what a program has that sets none
        root.setLevel(logging.INFO)
    if ours.level == logging.NOTSET:
        ours.setLevel(logging.INFO)
