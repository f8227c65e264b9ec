"""Starting a guardian, and the few words that are spoken with its server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.embedded.locks import SERVER, FileLock
from lash_redis.embedded.project import socket_path
from lash_redis.embedded.server import server_binary

STARTED, HELD = 0, 3  # what a guardian's start answers, as exit status
READY = "+PONG"
LOADING = "-LOADING"

_LAUNCH_WAIT_S = 15
_ANSWER_WAIT_S = 1.0
_TAIL_LINES = 15
_TAIL_BYTES = 4096


def ping(path: Path) -> str:
    """Return what the server at this socket answers to PING: ``READY``, an error as Redis writes it, or why nothing."""
    try:
        with _sent(path, b"PING\r\n") as link:
            return link.recv(512).decode(errors="replace").strip()
    except OSError as error:
        return f"{path}: {error}"


def ask_to_end(path: Path) -> None:
    """Ask the server at this socket, if there is one, to end cleanly. For its guardian only."""
    with suppress(OSError):
        _sent(path, b"SHUTDOWN\r\n").close()


def look(data: Path) -> str:
    """Return ``READY`` if the server of ``data`` answers and somebody guards it, else what is not so."""
    answer = ping(socket_path(data))
    return "its guardian has gone" if answer == READY and not _is_guarded(data) else answer


def start_guardian(data: Path) -> bool:
    """Start a guardian in a session of its own, and say whether it became the one (False: there is one already).

    Raises:
        SettingsError: there is no server to start on this platform, or no place for its socket.
        RegistryUnavailable: the guardian could not be started.
    """
    where, binary = socket_path(data), server_binary()
    with _log(data).open("ab") as log:
        try:
            status = subprocess.run(
                [sys.executable, "-P", "-m", "lash_redis.embedded.guardian", str(data), str(where), str(binary)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=data,
                # It imports what this OS process imports, however that was found.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
                start_new_session=True,
                timeout=_LAUNCH_WAIT_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise unavailable(data, f"its guardian did not start within {_LAUNCH_WAIT_S} s") from None
    if status not in {STARTED, HELD}:
        raise unavailable(data, f"its guardian ended with status {status}")
    return status == STARTED


def unavailable(data: Path, why: str) -> RegistryUnavailable:
    """Return the error for a server that does not answer, with the last lines of its log."""
    log = _log(data)
    try:
        lines = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    said = "\n".join(("", f"the last lines of {log}:", *lines)) if lines else ""
    return RegistryUnavailable("open the embedded server", f"data in {data}: {why}{said}", maybe_applied=False)


def _sent(path: Path, command: bytes) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(_ANSWER_WAIT_S)
        link.connect(str(path))
        link.sendall(command)
    except BaseException:
        link.close()
        raise
    return link


def _is_guarded(data: Path) -> bool:
    guardian = FileLock(data / SERVER)
    try:
        return not guardian.try_shared()
    finally:
        guardian.close()


def _log(data: Path) -> Path:
    return data / "server.log"
