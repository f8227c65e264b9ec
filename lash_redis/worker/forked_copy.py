"""The end of a forked copy of a worker: a task called ``os.fork``, and the child returned from the task's function.

There is nothing to return to. The run belongs to the OS process that claimed it, and the other threads do not exist in
the copy.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from typing import NoReturn


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
