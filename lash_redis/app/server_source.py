"""Where a ``Lash`` and the operators find the server."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from lash_redis.core.errors import SettingsError
from lash_redis.registry.transport.urls import URL_VARIABLE

if TYPE_CHECKING:
    from lash_redis.embedded.connect import EmbeddedServer


class ServerSource:
    """Where the server comes from: what the user gave, else ``$LASH_REDIS_URL``, else the embedded server.

    It is a user of the embedded server from ``get`` to ``release``.
    """

    def __init__(self, given: Any) -> None:
        self._given = given
        self._embedded: EmbeddedServer | None = None
        self._lock = threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether ``get`` returns at once."""
        return self._given is not None or self._embedded is not None or URL_VARIABLE in os.environ

    def get(self) -> Any:
        """Return a URL or a client; block while the embedded server starts.

        Raises:
            SettingsError: the variable is empty: whoever set it meant some server, and not the embedded one.
        """
        if self._given is not None:
            return self._given
        url = os.environ.get(URL_VARIABLE)
        if url == "":
            raise SettingsError(
                f"expected ${URL_VARIABLE} to be a URL, got an empty text (unset it for the embedded server)"
            )
        if url is not None:
            return url
        from lash_redis.embedded.connect import open_embedded  # noqa: PLC0415 - not needed with a URL

        with self._lock:
            if self._embedded is None:
                self._embedded = open_embedded()
            return self._embedded.url

    def begin_anew(self) -> None:
        """Replace what another thread may have held when this OS process was forked; its use of the server lasts."""
        self._lock = threading.Lock()

    def release(self) -> None:
        """Stop being a user of the embedded server."""
        with self._lock:
            embedded, self._embedded = self._embedded, None
        if embedded is not None:
            embedded.close()
