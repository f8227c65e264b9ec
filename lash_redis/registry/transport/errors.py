"""redis-py's errors, as the errors that a caller of the registry sees."""

from __future__ import annotations

import socket
from typing import Final

from lash_redis.core.errors import LashError, RegistryUnavailable, SettingsError

# After such a reply nothing was applied, and the same call may succeed later.
_NOT_NOW: Final = (
    "LOADING", "BUSY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "OOM",
    "max number of clients", "UNBLOCKED",
)  # fmt: skip
_NEVER_SENT: Final = (ConnectionRefusedError, FileNotFoundError, socket.gaierror)


def translated(script: str, error: Exception) -> LashError:
    """Return the error that stands for one of redis-py's, raised while ``script`` was sent."""
    from redis import exceptions

    text = str(error)
    if isinstance(error, (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)):
        return SettingsError(f"{script}: the server refuses this user: {text}")
    # redis-py removes the first word from the errors that it knows, and keeps the word as their code.
    word = getattr(error, "status_code", None) or text
    if word.startswith(_NOT_NOW):
        return RegistryUnavailable(script, text, maybe_applied=False)
    if isinstance(error, exceptions.ResponseError):
        return LashError(f"{script}: the server answered with an error: {text}")
    never_sent = isinstance(error.__context__, _NEVER_SENT)
    return RegistryUnavailable(script, text or type(error).__name__, maybe_applied=not never_sent)
