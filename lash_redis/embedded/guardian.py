"""The guardian: the OS process that owns a project's server (design, section 7).

``python -m lash_redis.embedded.guardian DATA SOCKET BINARY`` takes *server* and goes on in the background, or finds it
held and exits. It lives in a session of its own, which whoever starts it makes, so that no Ctrl-C reaches it or its
server before a drain has written its last fact. Once a second it looks whether anybody still holds *users*.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lash_redis.core.timing import boottime_ms, pause
from lash_redis.embedded.launch import HELD, STARTED, ask_to_end
from lash_redis.embedded.locks import SERVER, USERS, WRITER, FileLock
from lash_redis.embedded.project import note_socket
from lash_redis.embedded.server import Server

_LOOK_EVERY_S = 1.0
_LINGER_S = 2.0
_LOOK_AGAIN_S = 0.02
_ORPHAN_WAIT_MS = 10_000
_MAX_LOG_BYTES = 1 << 20
_STDOUT = 1


def main() -> int:
    """Become the guardian of the data folder in ``argv``, if it has none, and return to whoever started it at once."""
    data, socket, binary = map(Path, sys.argv[1:])
    server_lock = FileLock(data / SERVER)
    if not (server_lock.try_alone() and server_lock.is_in_place()):
        return HELD
    ask_to_end(socket)  # the server of a guardian that was killed, where no kernel has done it
    socket.unlink(missing_ok=True)  # nobody new shall meet it, or what any other has left
    if os.fork():
        return STARTED  # its starter must not have a child that it does not know
    _go_deaf()
    os.umask(0o077)
    if os.fstat(_STDOUT).st_size > _MAX_LOG_BYTES:
        os.ftruncate(_STDOUT, 0)
    note_socket(data, socket)
    writer = FileLock(data / WRITER)
    if not _inherits(writer):
        return 1
    guard(Server(data, socket, binary, writer), server_lock, FileLock(data / USERS))
    return 0


def guard(server: Server, server_lock: FileLock, users: FileLock) -> None:
    """Keep the server running until its last user has gone, then stop it holding both locks, and give them back."""
    while (why := _reason_to_end(server, server_lock, users)) is None:
        pause(_LOOK_EVERY_S)
    _say(f"{why}: stopping the server")
    server.stop()
    server_lock.release()  # before users, so that whoever waits for that finds this free
    users.release()


def _inherits(writer: FileLock) -> bool:
    """Take *writer*, once the server of a guardian that was killed has ended, and say whether it has."""
    if writer.try_alone():
        return True
    _say("waiting for the end of the server of a guardian that was killed")
    deadline_ms = boottime_ms() + _ORPHAN_WAIT_MS
    while not writer.try_alone():
        if boottime_ms() > deadline_ms:
            _say(f"it has not ended within {_ORPHAN_WAIT_MS // 1000} s: giving up")
            return False
        pause(_LOOK_AGAIN_S)
    return True


def _reason_to_end(server: Server, server_lock: FileLock, users: FileLock) -> str | None:
    """Look at everything once, repair what can be repaired, and say why this is the end, if it is."""
    if _is_deserted(users):
        return "the last user has gone"
    if not server_lock.is_in_place():
        return "the data folder has gone from its place"
    if server.has_died():
        _say("the server has died")
        return None if server.start_again() else "it dies again and again"
    if server.has_lost_its_socket():
        _say("the socket was deleted: starting the server anew")
        server.stop()
        server.start()
    return None


def _is_deserted(users: FileLock) -> bool:
    """Say whether nobody uses the server, now and after a while; *users* is then held alone."""
    if not users.try_alone():
        return False
    users.release()
    pause(_LINGER_S)
    return users.try_alone()


def _go_deaf() -> None:
    """Hear no signal that may be meant for the users: a stop of their service is signalled to its whole group.

    What their OS process blocked or ignored was inherited, and must reach neither the server nor the wait for it.
    """
    for unheard in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(unheard, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _say(text: str) -> None:
    sys.stderr.write(f"guardian {os.getpid()}: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
