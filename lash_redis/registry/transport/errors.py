"""redis-py's errors, as the errors that a caller of the registry sees."""

from __future__ import annotations

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


def unwrapped(error: Exception) -> Exception:
    """Return the reply that redis-py wraps into an error in connecting, if that is what it did."""
    cause = error.__cause__
    return cause if isinstance(cause, Exception) and getattr(cause, "status_code", None) else error


def translated(operation: str, error: Exception, *, opening: bool, reads: bool = False, remedy: str = "") -> LashError:
    """Return the error that stands for one of redis-py's, raised while ``operation`` was sent.

    Args:
        operation: the script, or what else was asked for.
        error: what redis-py raised.
        opening: the namespace is being opened: what the server refuses is a setting then. Later it may have been
            changed for a moment only, and what runs must not end by it.
        reads: nothing was to be applied.
        remedy: a sentence about what to do, if there is one.
    """
    reply, text = reply_of(error), text_of(unwrapped(error)) or type(error).__name__
    if opening and reply.meaning is Meaning.REFUSED:
        return SettingsError(f"{operation}: {reply.text} ({text})" + (f". {remedy}" if remedy else ""))
    maybe_applied = reply.maybe_applied and not getattr(error, "never_sent", False)
    return RegistryUnavailable(operation, text, maybe_applied=maybe_applied, reads=reads)
