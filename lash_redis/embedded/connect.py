"""How an OS process uses the embedded server (rule 10.1).

It holds the lock *users* shared for as long as it uses the server, and this keeps the server running. If the server
does not answer, it starts a guardian and tries again.
"""

from __future__ import annotations

from pathlib import Path

from lash_redis.core.timing import boottime_ms, pause
from lash_redis.embedded.folders import data_folder, prepare, server_url
from lash_redis.embedded.launch import LOADING, READY, nothing_listens, server_state, start_guardian, unavailable
from lash_redis.embedded.locks import USERS, FileLock

_TIMEOUT_MS = 15_000
_LAUNCH_EVERY_MS = 1_000
_MAX_LAUNCHES = 2
_POLL_S = 0.02


class EmbeddedServer:
    """One use of the project's server by this OS process. The server runs at least until the use is closed.

    A child made by ``os.fork`` inherits the open file, and with it a use of its own: it counts as a user until it
    closes that use or ends, whether it talks to the server or not.

    Attributes:
        data: the data folder.
        is_open: whether this use lasts: False after ``close``.
    """

    def __init__(self, data: Path, users: FileLock) -> None:
        self.data = data
        self.is_open = True
        self._users = users

    @property
    def url(self) -> str:
        """The URL for redis-py: ``unix:///….sock``, database 0."""
        return server_url(self.data)

    def ensure_answering(self) -> None:
        """Wait until the server answers, and start a guardian for it if needed.

        It waits for about 15 s, and longer while the server loads its data. ``open_embedded`` calls it. Call it again
        after a guardian was killed.

        Raises:
            RegistryUnavailable: the server does not answer; the message shows the end of its log.
            SettingsError: this platform has no server, or no folder fits its socket.
        """
        deadline_ms, launch_ms, launches = boottime_ms() + _TIMEOUT_MS, 0, 0
        while (state := server_state(self.data)) != READY:
            now_ms = boottime_ms()
            if state.startswith(LOADING):
                deadline_ms = now_ms + _TIMEOUT_MS
            elif now_ms > deadline_ms:
                raise unavailable(self.data, f"no answer within {_TIMEOUT_MS // 1000} s ({state})")
            elif now_ms >= launch_ms:
                if launches == _MAX_LAUNCHES:
                    raise unavailable(self.data, f"its server does not stay alive ({state})")
                launches += start_guardian(self.data)
                launch_ms = boottime_ms() + _LAUNCH_EVERY_MS
            pause(_POLL_S)

    def revive(self) -> None:
        """Do as ``ensure_answering`` does if nothing listens at the socket; leave a server that hangs alone.

        Raises:
            RegistryUnavailable, SettingsError: as ``ensure_answering``, and the data has gone.
        """
        if self.is_open and nothing_listens(self.data):
            self.ensure_answering()

    def close(self) -> None:
        """End this use. The guardian stops the server after its last user has gone. Closing again does nothing."""
        if self.is_open:
            self.is_open = False
            self._users.close()


def open_embedded(start_from: Path | None = None, data: Path | None = None) -> EmbeddedServer:
    """Return a use of the project's server, which then runs; block while it starts.

    The data lies in ``data``, else in ``$LASH_REDIS_DATA``, else in the project of ``start_from`` (of the working
    folder if None). An OS process may open the server several times.

    Raises:
        SettingsError: there is no project, or the data folder or the platform cannot be used; the message says why,
            and what to do.
        RegistryUnavailable: the server does not answer within about 15 s; the message shows the end of its log.
    """
    folder = data_folder(start_from, data)
    prepare(folder)
    server = EmbeddedServer(folder, _join_users(folder))
    try:
        server.ensure_answering()
    except BaseException:
        server.close()
        raise
    return server


def _join_users(data: Path) -> FileLock:
    """Take *users* shared. A guardian that is stopping its server holds it alone until it is done."""
    deadline_ms = boottime_ms() + _TIMEOUT_MS
    while True:
        users = FileLock(data / USERS)
        if users.try_shared() and users.is_at_its_path():
            return users
        users.close()
        if boottime_ms() > deadline_ms:
            raise unavailable(data, f"its guardian has been stopping it for {_TIMEOUT_MS // 1000} s")
        pause(_POLL_S)
