"""Logging for a pool whose user has set up none."""

from __future__ import annotations

import atexit
import logging

from lash_redis.pool.streams import background_stderr

_LAST_LINES_S = 0.25


def log_to_stderr() -> None:
    """Write the log of ``lash_redis`` to standard error from INFO on, unless logging is set up already.

    It is written in the background, so that a reader that has stopped reading stops nobody here.
    """
    logger = logging.getLogger("lash_redis")
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler(background_stderr())
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger.addHandler(handler)
    atexit.register(background_stderr().finish, _LAST_LINES_S)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
