"""Logging for a pool whose user has set up none."""

from __future__ import annotations

import atexit
import logging

from lash_redis.pool.streams import background_stderr

_LAST_LINES_S = 0.25


class _OnlyHandler(logging.StreamHandler):  # type: ignore[type-arg]  # the class has parameters only in its stubs
    """Writes what no other handler gets: user code may set up logging later, and then each line is shown once."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass if this is the only handler, and its filters let it pass."""
        logger = logging.getLogger("lash_redis")
        others = [each for each in logger.handlers if each is not self]
        if others or (logger.propagate and logging.getLogger().handlers):
            return False
        return bool(super().filter(record))


def log_to_stderr() -> None:
    """Write the log of ``lash_redis`` to standard error from INFO on, unless and until logging is set up otherwise.

    It is written in the background, so that a reader that has stopped reading stops nobody here.
    """
    logger = logging.getLogger("lash_redis")
    if logger.hasHandlers():
        return
    handler = _OnlyHandler(background_stderr())
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger.addHandler(handler)
    atexit.register(background_stderr().finish, _LAST_LINES_S)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
