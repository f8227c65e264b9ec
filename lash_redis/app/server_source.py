"""Where a ``Lash`` and the operators find the server."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from lash_redis.core.errors import SettingsError
from lash_redis.registry.transport.finding import ServerFinder
from lash_redis.registry.transport.url_forms import checked_url
from lash_redis.registry.transport.urls import URL_VARIABLE

if TYPE_CHECKING:
    from lash_redis.embedded.connect import EmbeddedServer


class ServerSource(ServerFinder):
    """Where the server comes from: what the user gave, else ``$LASH_REDIS_URL``, else the embedded server.

    It is a user of the embedded server from ``find`` to ``release``.

    Attributes:
        given: what the user gave, None for nothing.
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        self._embedded: EmbeddedServer | None = None
        self._lock = threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether ``find`` returns at once."""
        return self.given is not None or self._embedded is not None or URL_VARIABLE in os.environ

    @property
    def is_ours(self) -> bool:
        """Whether the embedded server is used."""
        return self._embedded is not None

    def find(self) -> Any:
        """Return a URL or a client; block while the embedded server starts.

        Raises:
            SettingsError: the variable is empty (whoever set it meant some server, and not the embedded one) or no URL,
                or this is no project, so that it has no embedded server.
            RegistryUnavailable: the embedded server does not start.
        """
        if self.given is not None:
            return self.given
        url = os.environ.get(URL_VARIABLE)
        if url is not None:
            return _checked_variable(url)
        from lash_redis.embedded.connect import open_embedded  # noqa: PLC0415 - not needed with a URL

        with self._lock:
            if self._embedded is None:
                self._embedded = open_embedded()
            return self._embedded.url

    def revive(self) -> None:
        """Start the embedded server again if its guardian was killed; block until it answers.

        Raises:
            RegistryUnavailable: it does not start.
            SettingsError: its data has gone.
        """
        embedded = self._embedded
        if embedded is not None:
            embedded.revive()

    def begin_anew(self) -> None:
        """Replace what another thread may have held when this OS process was forked; its use of the server lasts."""
        self._lock = threading.Lock()

    def release(self) -> None:
        """Stop being a user of the embedded server."""
        with self._lock:
            embedded, self._embedded = self._embedded, None
        if embedded is not None:
            embedded.close()


def _checked_variable(url: str) -> str:
    if not url:
        raise SettingsError(
            f"expected ${URL_VARIABLE} to be a URL such as redis://localhost:6379/0, got an empty text "
            "(unset it for the embedded server of a project)"
        )
    try:
        return checked_url(url)
    except SettingsError as error:
        raise SettingsError(f"${URL_VARIABLE}: {error}") from None
