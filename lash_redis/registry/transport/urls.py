"""The URL of one server: what it may say, and what of it may be shown.

A URL may hold a password, and one that cannot be understood may hold it anywhere. So no error repeats any part of a URL
but the name of an option, and none is raised while another one that does so is handled: a traceback would show that.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from lash_redis.core.errors import SettingsError

URL_VARIABLE: Final = "LASH_REDIS_URL"
SCHEMES: Final = ("redis://", "rediss://", "unix://")


class UrlOption(msgspec.Struct, frozen=True):
    """What a URL may say behind its "?".

    Attributes:
        pattern: what the value must match as a whole.
        allowed: the same in words.
        schemes: of the URLs that may have it.
    """

    pattern: str
    allowed: str
    schemes: tuple[str, ...] = ("redis", "rediss", "unix")


def _of_tls(pattern: str, allowed: str) -> UrlOption:
    return UrlOption(pattern, allowed, ("rediss",))


_ANY: Final = "(?s:.+)"
_YES_OR_NO: Final = ("(?i:1|t|true|y|yes|0|f|false|n|no)", "true or false")
_VERIFY_FLAGS: Final = (r"VERIFY_\w+(, *VERIFY_\w+)*", "names of `ssl.VerifyFlags`, with commas")

# Whatever else redis-py reads there would change our times, our retries or what replies look like, or one of its two
# clients does not know it.
URL_OPTIONS: Final[dict[str, UrlOption]] = {
    "db": UrlOption("[0-9]+", "the number of a database"),
    "username": UrlOption(_ANY, "a name"),
    "password": UrlOption(_ANY, "a password"),
    "client_name": UrlOption("[!-~]+", "a name without spaces"),
    "socket_keepalive": UrlOption(*_YES_OR_NO, ("redis", "rediss")),
    "ssl_ca_certs": _of_tls(_ANY, "the path of a file of certificates"),
    "ssl_ca_path": _of_tls(_ANY, "the path of a folder of certificates"),
    "ssl_ca_data": _of_tls(_ANY, "certificates"),
    "ssl_certfile": _of_tls(_ANY, "the path of a file with the client's certificate"),
    "ssl_keyfile": _of_tls(_ANY, "the path of a file with its key"),
    "ssl_password": _of_tls(_ANY, "the password of that key"),
    "ssl_cert_reqs": _of_tls("none|optional|required", "none, optional or required"),
    "ssl_check_hostname": _of_tls(*_YES_OR_NO),
    "ssl_min_version": _of_tls("77[12]", "771 (TLS 1.2) or 772 (TLS 1.3)"),
    "ssl_ciphers": _of_tls("[!-~]+", "a list of ciphers as OpenSSL has it"),
    "ssl_include_verify_flags": _of_tls(*_VERIFY_FLAGS),
    "ssl_exclude_verify_flags": _of_tls(*_VERIFY_FLAGS),
}
_OPTION_NAME: Final = re.compile(r"[a-z][a-z_]{0,39}")

_PARTS: Final = (
    "a user name and a password are percent-encoded: / is %2F, # is %23, ? is %3F, @ is %40, [ is %5B; "
    "a port is a number from 1 to 65535; an IPv6 address stands in brackets"
)


def checked_server_url(value: str) -> str:
    """Return ``value`` if it may be one server's URL; its scheme is one of these. No error repeats it.

    Raises:
        SettingsError: it cannot be taken apart, names no database by number, or has an option or a value of one that is
            not allowed.
    """
    parts = _split(value)
    if parts is None or _is_torn(parts):
        raise SettingsError(f"expected a URL whose parts can be told apart ({_PARTS})")
    if parts.scheme != "unix" and not re.fullmatch(r"/?|/[0-9]+", unquote(parts.path)):
        raise SettingsError(
            "expected the URL to end with the number of a database, as in redis://host:6379/0, or with none"
        )
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        _check_option(parts.scheme, name, text)
    return value


def _check_option(scheme: str, name: str, text: str) -> None:
    option = URL_OPTIONS.get(name)
    if option is None:
        shown = f"{name!r}" if _OPTION_NAME.fullmatch(name) else "one that is not shown here"
        raise SettingsError(
            f"expected the URL to have no option but {', '.join(URL_OPTIONS)}, got {shown} "
            "(times, retries and the form of replies are ours to set)"
        )
    if scheme not in option.schemes:
        schemes = " or ".join(f"{each}://" for each in option.schemes)
        raise SettingsError(f"expected the option {name} in a URL that begins with {schemes}, got one with {scheme}://")
    if not re.fullmatch(option.pattern, text):
        raise SettingsError(f"expected the option {name} of the URL to be {option.allowed.replace('`', '')}")


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
        _ = parts.hostname
        is_torn = parts.port == 0  # for redis-py that is no port
    except ValueError:
        return None
    return None if is_torn else parts


def _is_torn(parts: SplitResult) -> bool:
    """Return whether a character of a user name or a password ended the part that it stands in."""
    rest = parts.query + parts.fragment
    if parts.scheme == "unix":
        host = parts.netloc.rpartition("@")[2]
        may_be_torn = "@" in (parts.path if parts.netloc else "") + rest
        return bool(host or parts.fragment) or may_be_torn or not parts.path.startswith("/")
    return bool(parts.fragment) or "@" in parts.path + rest
