"""The door to the embedded server: what an OS process does that wants to use it (design, section 7).

It takes *users* shared and holds it as long as it uses the server: that is what keeps the server running. If nothing
answers, it starts a guardian and tries again.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from lash_redis.core.timing import boottime_ms, pause
from lash_redis.embedded.launch import LOADING, READY, look, start_guardian, unavailable
from lash_redis.embedded.locks import USERS, FileLock
from lash_redis.embedded.project import data_folder, prepare, socket_path

_PATIENCE_MS = 15_000
_LAUNCH_EVERY_MS = 1_000
_MOST_LAUNCHES = 2
_LOOK_EVERY_S = 0.02


class EmbeddedServer:
    """This OS process's use of the project's server, which runs at least until it is closed.

    A child made by ``os.fork`` is no user of it, and opens the server for itself if it wants to be one.
    """

    def __init__(self, data: Path, users: FileLock) -> None:
        self.data = data
        self._users = users
        _open_here.add(self)

    @property
    def url(self) -> str:
        """Where redis-py finds the server: ``unix:///….sock``, database 0."""
        return f"unix://{quote(os.fspath(socket_path(self.data)))}"

    @property
    def is_open(self) -> bool:
        """Whether this OS process counts as a user: not once it is closed, and not in a child made by ``os.fork``."""
        return self in _open_here

    def ensure_answering(self) -> None:
        """Wait until the server answers, starting a guardian for it if need be; for about 15 s, longer if it loads.

        ``open_embedded`` has done so already. It is for whoever outlives a guardian that was killed.

        Raises:
            RegistryUnavailable: it does not answer; the message shows the end of its log.
            SettingsError: there is no server to start on this platform, or no place for its socket.
        """
        deadline_ms, launch_ms, launches = boottime_ms() + _PATIENCE_MS, 0, 0
        while (answer := look(self.data)) != READY:
            now_ms = boottime_ms()
            if answer.startswith(LOADING):
                deadline_ms = now_ms + _PATIENCE_MS
            elif now_ms > deadline_ms:
                raise unavailable(self.data, f"no answer within {_PATIENCE_MS // 1000} s ({answer})")
            elif now_ms >= launch_ms:
                if launches == _MOST_LAUNCHES:
                    raise unavailable(self.data, f"its server does not stay alive ({answer})")
                launches += start_guardian(self.data)
                launch_ms = boottime_ms() + _LAUNCH_EVERY_MS
            pause(_LOOK_EVERY_S)

    def close(self) -> None:
        """Give the server up; its guardian stops it once nobody is left. Closing again does nothing."""
        try:
            _open_here.remove(self)
        except KeyError:
            return
        self._users.close()


def open_embedded(start_from: Path | None = None, data: Path | None = None) -> EmbeddedServer:
    """Return the project's server, running and shared with everybody who opens it; it blocks while it starts.

    The data lies in ``data``, else in ``$LASH_REDIS_DATA``, else in the project of ``start_from`` (the working folder
    if None). An OS process may open it as often as it likes.

    Raises:
        SettingsError: the data folder or the platform does not allow it; the message says which, and what would.
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
    """Take *users* shared, waiting for a guardian that is stopping its server to be done."""
    deadline_ms = boottime_ms() + _PATIENCE_MS
    while True:
        users = FileLock(data / USERS)
        if users.try_shared() and users.is_in_place():
            return users
        users.close()
        if boottime_ms() > deadline_ms:
            raise unavailable(data, f"its guardian has been stopping it for {_PATIENCE_MS // 1000} s")
        pause(_LOOK_EVERY_S)


_open_here: set[EmbeddedServer] = set()


def _disown_after_fork() -> None:
    """Close the inherited files without unlocking them: the locks are the parent's, and end with it."""
    for server in _open_here:
        server._users.close()  # noqa: SLF001 - the same module
    _open_here.clear()


os.register_at_fork(after_in_child=_disown_after_fork)
