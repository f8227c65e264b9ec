"""The guardian: the OS process that owns a project's server (rule 10.1).

``python -m lash_redis.embedded.guardian DATA SOCKET BINARY`` takes the lock *server* and goes on in the background. If
another guardian holds the lock, it exits. Its starter puts it into a session of its own, so that Ctrl-C reaches neither
it nor its server before a drain has written its last fact (rule 10.2). Once a second it checks whether anybody still
holds *users*.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lash_redis.core.timing import boottime_ms, pause
from lash_redis.embedded.folders import record_socket_folder
from lash_redis.embedded.launch import HELD, STARTED, shut_down
from lash_redis.embedded.locks import SERVER, USERS, WRITER, FileLock
from lash_redis.embedded.server import Server

_POLL_S = 1.0
_LINGER_S = 2.0
_WRITER_POLL_S = 0.02
_WRITER_TIMEOUT_MS = 10_000
_MAX_LOG_BYTES = 1 << 20
_STDOUT = 1


def main() -> int:
    """Become the guardian of the data folder in ``argv`` if it has none; the starter gets the exit status at once."""
    data, socket, binary = map(Path, sys.argv[1:])
    server_lock = FileLock(data / SERVER)
    if not (server_lock.try_exclusive() and server_lock.is_at_its_path()):
        return HELD
    shut_down(socket)  # the server of a killed guardian, on systems whose kernel has not ended it
    socket.unlink(missing_ok=True)  # no new user may connect to that server, or to a socket that another one left
    if os.fork():
        return STARTED  # the guardian is the forked child, so that its starter has no child left to reap
    _ignore_signals_to_users()
    os.umask(0o077)
    if os.fstat(_STDOUT).st_size > _MAX_LOG_BYTES:
        os.ftruncate(_STDOUT, 0)
    record_socket_folder(data, socket)
    writer = FileLock(data / WRITER)
    if not _take_writer(writer):
        return 1
    guard(Server(data, socket, binary, writer), server_lock, FileLock(data / USERS))
    return 0


def guard(server: Server, server_lock: FileLock, users: FileLock) -> None:
    """Keep the server running until its last user has gone. Then stop it, holding both locks, and release them."""
    while (why := _reason_to_stop(server, server_lock, users)) is None:
        pause(_POLL_S)
    _log(f"{why}: stopping the server")
    server.stop()
    server_lock.release()  # before users: who waits for users needs a free server lock next
    users.release()


def _take_writer(writer: FileLock) -> bool:
    """Take *writer* once the server of a killed guardian has ended; return False if it does not end in time."""
    if writer.try_exclusive():
        return True
    _log("waiting for the end of the server of a guardian that was killed")
    deadline_ms = boottime_ms() + _WRITER_TIMEOUT_MS
    while not writer.try_exclusive():
        if boottime_ms() > deadline_ms:
            _log(f"it has not ended within {_WRITER_TIMEOUT_MS // 1000} s: giving up")
            return False
        pause(_WRITER_POLL_S)
    return True


def _reason_to_stop(server: Server, server_lock: FileLock, users: FileLock) -> str | None:
    """Check everything once and repair what can be repaired; return why the guardian must stop, or None."""
    if _has_no_user(users):
        return "the last user has gone"
    if not server_lock.is_at_its_path():
        return "the data folder has gone from its path"
    if server.has_died():
        _log("the server has died")
        return None if server.start_again() else "it dies again and again"
    if server.has_lost_its_socket():
        _log("the socket was deleted: starting the server anew")
        server.stop()
        server.start()
    return None


def _has_no_user(users: FileLock) -> bool:
    """Return whether nobody uses the server, now and 2 s later; *users* is then held alone."""
    if not users.try_exclusive():
        return False
    users.release()
    pause(_LINGER_S)
    return users.try_exclusive()


def _ignore_signals_to_users() -> None:
    """Ignore signals that may be meant for the users: a service manager signals a whole group to stop it.

    The signal mask and the handling of SIGCHLD come from the user that started the guardian, so that they are reset.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _log(text: str) -> None:
    sys.stderr.write(f"guardian {os.getpid()}: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
