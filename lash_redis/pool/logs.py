"""Logging for a pool whose user has set up none."""

from __future__ import annotations

import logging
import sys


def log_to_stderr() -> None:
    """Write the log of ``lash_redis`` to standard error from INFO on, unless logging is set up already."""
    logger = logging.getLogger("lash_redis")
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
