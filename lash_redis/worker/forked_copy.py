"""What a forked copy of a worker may not do: return from the task that called ``os.fork``, or run the event loop.

There is nothing to return to. The run belongs to the OS process that claimed it, and the other threads do not exist in
the copy.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections import deque
from contextlib import suppress
from typing import Any, NoReturn

from lash_redis.core.forks import let_go_in_children


def end_copy(error: BaseException | None) -> NoReturn:
    """End this OS process as the end of a program does: with the code of ``sys.exit``, or 1 after another error."""
    code = 0 if error is None else 1
    with suppress(BaseException):
        if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
            code = error.code or 0
        elif error is not None:
            traceback.print_exception(error)
    with suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF)


class _NoCalls(deque[Any]):
    """The calls that wait in an event loop which is to make none."""

    def append(self, _call: Any) -> None:
        """Take nothing."""


def runs_on(event_loop: asyncio.AbstractEventLoop) -> None:
    """Note that a worker runs on this event loop, which no forked copy may then run."""
    let_go_in_children(event_loop, _leave)


def _leave(event_loop: asyncio.AbstractEventLoop) -> None:
    """Close what an inherited event loop waits with: a copy that ran it would read its parent's replies.

    The descriptor is closed in this OS process alone. A loop that goes on here ends with an error, and makes no call
    that waited in it.
    """
    with suppress(Exception):
        event_loop._ready = _NoCalls()  # type: ignore[attr-defined]  # noqa: SLF001 - as below
    with suppress(Exception):
        event_loop._selector.close()  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public does only this
