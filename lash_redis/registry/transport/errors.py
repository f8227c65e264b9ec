"""redis-py's errors, as the errors that a caller of the registry sees."""

from __future__ import annotations

import os
import ssl
from enum import Enum
from typing import Final

from lash_redis.core.errors import LashError, RegistryUnavailable, SettingsError
from lash_redis.registry.transport.replies import (
    NEVER_SENT,
    NO_ANSWER,
    NO_ROOM,
    NOT_UNDERSTOOD,
    Meaning,
    Reply,
    meaning_of,
    text_of,
)

_MOST_SHOWN: Final = 200  # characters of the server's own words


def reply_of(error: Exception) -> Reply:
    """Return what one of redis-py's errors means: that of the reply that it is, or of an answer that never came."""
    from redis import exceptions

    error = unwrapped(error)
    if isinstance(error, exceptions.ResponseError) or getattr(error, "status_code", None):
        return meaning_of(text_of(error))
    if isinstance(error, exceptions.AuthenticationError):
        return meaning_of("WRONGPASS")
    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError, OSError)):
        if str(error) == "No connection available.":
            return NO_ROOM
        return NEVER_SENT if getattr(error, "never_sent", False) else NO_ANSWER
    return NOT_UNDERSTOOD


class Missing(Enum):
    """What a server says that it does not have, of what a call needs."""

    SCRIPT = "the script of this SHA"
    FUNCTION = "the function of this name, or room for its library"
    FUNCTIONS = "functions, or the right to use them"


def missing_in(error: Exception) -> Missing | None:
    """Return what the server does not have, so that nothing was applied; None if it is something else."""
    from redis.exceptions import NoScriptError, ResponseError

    if isinstance(error, NoScriptError):
        return Missing.SCRIPT
    if not isinstance(error, ResponseError):
        return None
    text = text_of(error)
    if "Function not found" in text:
        return Missing.FUNCTION
    named = text.lower()
    if ("no permissions to run" in named or "unknown command" in named) and ("'fcall" in named or "'function" in named):
        return Missing.FUNCTIONS
    return None


def unwrapped(error: Exception) -> Exception:
    """Return the reply that redis-py wraps into an error in connecting, if that is what it did."""
    cause = error.__cause__
    return cause if isinstance(cause, Exception) and getattr(cause, "status_code", None) else error


def translated(
    operation: str,
    error: Exception,
    *,
    where: str = "the server",
    opening: bool,
    reads: bool = False,
    remedy: str = "",
) -> LashError:
    """Return the error that stands for one of redis-py's, raised while ``operation`` was sent.

    Args:
        operation: the script, or what else was asked for.
        error: what redis-py raised.
        where: the server, for people.
        opening: the namespace is being opened: what the server refuses is a setting then. Later it may have been
            changed for a moment only, and what runs must not end by it.
        reads: nothing was to be applied.
        remedy: a sentence about what to do, if there is one.
    """
    reply = reply_of(error)
    if opening and reply.meaning is Meaning.REFUSED:
        return SettingsError(_said(where, reply, error) + (f". {remedy}" if remedy else ""))
    maybe_applied = reply.maybe_applied and not getattr(error, "never_sent", False)
    return RegistryUnavailable(operation, _said(where, reply, error), maybe_applied=maybe_applied, reads=reads)


def _said(where: str, reply: Reply, error: Exception) -> str:
    """Return what is the matter, for people: what it means, and the words of the server or of the system."""
    text = text_of(unwrapped(error)) or type(error).__name__
    if reply is NO_ROOM:
        return f"all connections to {where} are busy"
    if reply is NEVER_SENT:
        return f"cannot reach {where}: {_of_the_system(error) or text}"
    if reply is NO_ANSWER:
        return f"no answer from {where}: {_of_the_system(error) or text}"
    shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
    return f"{where}: {reply.text} (it says: {shown})"


def _of_the_system(error: BaseException | None) -> str:
    """Return the reason that the operating system gave, empty if it gave none: redis-py wraps it."""
    while error is not None:
        if isinstance(error, ssl.SSLError):  # its number is OpenSSL's own
            return f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}"
        if isinstance(error, OSError) and error.strerror:
            # asyncio has a text of its own; a name that does not resolve has a negative number.
            number = error.errno or 0
            return (os.strerror(number) if number > 0 else error.strerror).lower()
        error = error.__cause__ or error.__context__
    return ""
