"""Start a guardian, and send its server commands (PING and SHUTDOWN) without a client library."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.embedded.folders import socket_path
from lash_redis.embedded.locks import SERVER, FileLock
from lash_redis.embedded.server import server_binary

STARTED, HELD = 0, 3  # exit status of a guardian's start: it became the guardian, or there is one
READY = "+PONG"
LOADING = "-LOADING"

_LAUNCH_TIMEOUT_S = 15
_ANSWER_TIMEOUT_S = 1.0
_TAIL_LINES = 15
_TAIL_BYTES = 4096


def ping(path: Path) -> str:
    """Return the answer to PING at this socket: ``READY``, an error as Redis writes it, or why there is no answer."""
    try:
        with _send(path, b"PING\r\n") as connection:
            return connection.recv(512).decode(errors="replace").strip()
    except OSError as error:
        return f"{path}: {error}"


def nothing_listens(data: Path) -> bool:
    """Return whether no server has the socket of ``data``; one that hangs has it still."""
    try:
        with _connected(socket_path(data)):
            return False
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except OSError:
        return False


def shut_down(path: Path) -> None:
    """Ask the server at this socket, if there is one, to end cleanly. Only its guardian may do this."""
    with suppress(OSError):
        _send(path, b"SHUTDOWN\r\n").close()


def server_state(data: Path) -> str:
    """Return ``READY`` if the server of ``data`` answers and has a guardian, else what is missing."""
    answer = ping(socket_path(data))
    return "its guardian has gone" if answer == READY and not _has_guardian(data) else answer


def start_guardian(data: Path) -> bool:
    """Start a guardian in a session of its own; return False if there is one already.

    Raises:
        SettingsError: this platform has no server, or no folder fits its socket.
        RegistryUnavailable: the guardian could not be started.
    """
    path, binary = socket_path(data), server_binary()
    with _log_file(data).open("ab") as log:
        try:
            status = subprocess.run(
                [sys.executable, "-P", "-m", "lash_redis.embedded.guardian", str(data), str(path), str(binary)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=data,
                # The guardian must import the same package as this OS process, whatever led to it.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
                start_new_session=True,
                timeout=_LAUNCH_TIMEOUT_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise unavailable(data, f"its guardian did not start within {_LAUNCH_TIMEOUT_S} s") from None
    if status not in {STARTED, HELD}:
        raise unavailable(data, f"its guardian ended with status {status}")
    return status == STARTED


def unavailable(data: Path, why: str) -> RegistryUnavailable:
    """Return the error for a server that does not answer, with the last lines of its log."""
    log = _log_file(data)
    try:
        lines = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    tail = "\n".join(("", f"the last lines of {log}:", *lines)) if lines else ""
    return RegistryUnavailable("open the embedded server", f"data in {data}: {why}{tail}", maybe_applied=False)


def _send(path: Path, command: bytes) -> socket.socket:
    connection = _connected(path)
    try:
        connection.sendall(command)
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_ANSWER_TIMEOUT_S)
        connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def _has_guardian(data: Path) -> bool:
    guardian = FileLock(data / SERVER)
    try:
        return not guardian.try_shared()
    finally:
        guardian.close()


def _log_file(data: Path) -> Path:
    return data / "server.log"
