"""The file locks that say who uses a data folder, who guards its server, and who may write (design, section 7).

*users* is held shared by every OS process that connects, *server* by the guardian alone. *writer* is the server's own:
it outlives a guardian that was killed if the server does, so that no second server writes the same append-only file.
The kernel lets go of all when their holders die, however they die: nothing has to be cleaned up, and there are no pid
files.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lash_redis.core.errors import SettingsError

if sys.platform == "win32":
    raise SettingsError("the embedded server runs on Linux and macOS only: give a Redis URL, or set $LASH_REDIS_URL")

import fcntl

USERS = "users"
SERVER = "server"
WRITER = "writer"


class FileLock:
    """An open file that can be locked whole, shared or alone.

    The lock belongs to the open file: other OS processes that inherit it hold the lock too, and it is free when the
    last of them has closed it, or at once when one of them calls ``release``. Nobody inherits it unless told to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SettingsError(
                f"expected a data folder that this user can write, got {path.parent} ({error})"
            ) from error

    def try_shared(self) -> bool:
        """Take the lock beside others who share it, and say whether that worked, without waiting."""
        return self._try(fcntl.LOCK_SH)

    def try_alone(self) -> bool:
        """Take the lock for this open file alone, and say whether that worked, without waiting."""
        return self._try(fcntl.LOCK_EX)

    def release(self) -> None:
        """Give the lock back, for every OS process that has inherited it too."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; the lock stays with those who inherited it."""
        os.close(self.fd)

    def is_in_place(self) -> bool:
        """Say whether the path still leads to this very file: the folder may have been deleted, moved or replaced."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self.fd))
        except OSError:
            return False

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise SettingsError(
                f"expected a data folder whose file system can lock files, got {self.path.parent} ({error}); "
                "set $LASH_REDIS_DATA to a folder on a local disk"
            ) from error
        return True
