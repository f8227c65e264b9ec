"""The URLs of servers: what they may say, and what of them may be shown.

A URL may hold a password, and one that cannot be understood may hold it anywhere. So no error repeats any part of a URL
but the name of an option, and none is raised while another one that does so is handled: a traceback would show that.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from lash_redis.core.errors import SettingsError

URL_VARIABLE: Final = "LASH_REDIS_URL"
_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_ANY_SCHEME: Final = "redis://, rediss:// or unix://"

# What a URL may say behind its "?". Whatever else redis-py reads there would change our times, our retries or what
# replies look like.
_OPTIONS: Final = re.compile(r"db|username|password|client_name|socket_keepalive|ssl_\w+")
_OPTION_NAME: Final = re.compile(r"[a-z][a-z_]{0,39}")

_ENCODED: Final = "a user name and a password are percent-encoded: / is %2F, # is %23, ? is %3F, @ is %40, [ is %5B"


def checked_url(value: str) -> str:
    """Return ``value`` if it may be a server's URL. No error repeats it, since it may hold a password.

    Raises:
        SettingsError: it is empty, has another scheme, cannot be taken apart, names no database by number, or has an
            option that is not allowed.
    """
    if not value:
        raise SettingsError(f"expected a URL that begins with {_ANY_SCHEME}, got an empty text")
    if not value.startswith(_SCHEMES):
        raise SettingsError(f"expected a URL that begins with {_ANY_SCHEME}")
    parts = _split(value)
    if parts is None or _is_torn(parts):
        raise SettingsError(f"expected a URL whose parts can be told apart ({_ENCODED})")
    if parts.scheme != "unix" and not re.fullmatch(r"/?|/[0-9]+", unquote(parts.path)):
        raise SettingsError(
            "expected the URL to end with the number of a database, as in redis://host:6379/0, or with none"
        )
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if not _OPTIONS.fullmatch(name):
            shown = f"{name!r}" if _OPTION_NAME.fullmatch(name) else "one that is not shown here"
            raise SettingsError(
                f"expected the URL to have no option but db, client_name, socket_keepalive and ssl_…, got {shown} "
                "(times, retries and the form of replies are ours to set)"
            )
        if name == "db" and not re.fullmatch(r"[0-9]+", text):
            raise SettingsError("expected the option db of the URL to be the number of a database")
    return value


def shown_url(url: str) -> str:
    """Return a checked URL for people to read, without user, password or options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _split(value: str) -> SplitResult | None:
    """Return the parts of a URL, or None if it has none: what Python raises repeats the URL."""
    if not value.isprintable() or " " in value:
        return None  # urlsplit drops line ends and tabs in silence
    try:
        parts = urlsplit(value)
        _ = parts.port, parts.hostname
    except ValueError:
        return None
    return parts


def _is_torn(parts: SplitResult) -> bool:
    """Return whether a character of a user name or a password ended the part that it stands in."""
    rest = parts.query + parts.fragment
    if parts.scheme == "unix":
        host = parts.netloc.rpartition("@")[2]
        may_be_torn = "@" in (parts.path if parts.netloc else "") + rest
        return bool(host or parts.fragment) or may_be_torn or not parts.path.startswith("/")
    return bool(parts.fragment) or "@" in parts.path + rest
