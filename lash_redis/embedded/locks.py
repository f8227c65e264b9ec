"""The file locks of a data folder: who uses the server, who guards it, and which server may write (rule 10.1).

Every OS process that connects holds *users* shared. The guardian alone holds *server*. The server itself holds
*writer*: if it outlives a killed guardian, no second server can write the same append-only file. The kernel frees a
lock when its holder dies, so that there is nothing to clean up.
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
    """An open file that can be locked as a whole, shared or exclusively.

    The lock belongs to the open file. An OS process that inherits the file holds the lock too. The lock is free when
    the last holder has closed the file, or when one of them calls ``release``. A child inherits it only through
    ``pass_fds`` or ``os.fork``.
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
        """Take the lock shared, without waiting; return whether it was taken."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock for this open file alone, without waiting; return whether it was taken."""
        return self._try(fcntl.LOCK_EX)

    def release(self) -> None:
        """Release the lock, also for every OS process that has inherited it."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; OS processes that inherited it keep the lock."""
        os.close(self.fd)

    def is_at_its_path(self) -> bool:
        """Return whether the path still leads to this file: the folder may have been deleted, moved or replaced."""
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
