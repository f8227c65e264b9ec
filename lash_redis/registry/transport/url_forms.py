"""URLs of every form: of one server, a cluster's nodes, Sentinels. No error repeats any part of one (see ``urls``).

* ``redis://HOST:PORT/DB``, ``rediss://``, ``unix://PATH``: one server, or any node of a cluster.
* ``redis+cluster://HOST:PORT,HOST:PORT``, ``rediss+cluster://``: a cluster, by some of its nodes.
* ``redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB``, ``rediss+sentinel://``: the primary that Sentinels name.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from lash_redis.core.errors import SettingsError
from lash_redis.registry.transport.urls import SCHEMES, checked_server_url

_CLUSTER: Final = ("redis+cluster://", "rediss+cluster://")
_SENTINEL: Final = ("redis+sentinel://", "rediss+sentinel://")
_ANY_SCHEME: Final = ", ".join((*SCHEMES, *_CLUSTER, *_SENTINEL[:-1])) + f" or {_SENTINEL[-1]}"
_SENTINEL_PORT: Final = 26379
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:,@/]+)(:[0-9]+)?")
_LOOKS_LIKE: Final = {
    "cluster": "redis+cluster://HOST:PORT,HOST:PORT",
    "sentinel": "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE, or with /DB behind the service",
}
_OF_SENTINELS: Final = ("sentinel_username", "sentinel_password", "sentinel_tls")


class SentinelParts(msgspec.Struct, frozen=True):
    """What a URL with Sentinels says.

    Attributes:
        server: the URL by which the primary is reached, with a host that Sentinels will name.
        sentinels: the parameters of a connection to each Sentinel, as redis-py calls them.
        service: the name of the primary.
    """

    server: str
    sentinels: list[dict[str, Any]]
    service: str


def checked_url(value: str) -> str:
    """Return ``value`` if it may be a URL of any form. No error repeats it, since it may hold a password.

    Raises:
        SettingsError: it is empty, has another scheme, cannot be taken apart, or says something that is not allowed.
    """
    if not value:
        raise SettingsError(f"expected a URL that begins with {_ANY_SCHEME}, got an empty text")
    if value.startswith(_CLUSTER):
        for url in cluster_urls(value):
            checked_server_url(url)
    elif value.startswith(SCHEMES):
        checked_server_url(value)
    elif sentinel_parts(value) is None:
        raise SettingsError(f"expected a URL that begins with {_ANY_SCHEME}")
    return value


def cluster_urls(value: str) -> list[str]:
    """Return the URL of each node that a cluster's URL names; none if the URL is of another form.

    Raises:
        SettingsError: it names no node as it should, or a database.
    """
    if not value.startswith(_CLUSTER):
        return []
    parts, user, hosts = _split(value, "cluster")
    if unquote(parts.path) not in ("", "/", "/0") or dict(parse_qsl(parts.query)).get("db", "0") != "0":
        raise SettingsError(
            "expected the URL of a cluster to name no database, or 0: a cluster has no other one "
            "(give each deployment a namespace of its own instead)"
        )
    query = f"?{parts.query}" if parts.query else ""
    scheme = parts.scheme.removesuffix("+cluster")
    return [f"{scheme}://{user}{host}/0{query}" for host in hosts]


def sentinel_parts(value: str) -> SentinelParts | None:
    """Return what a URL with Sentinels says; None if the URL is of another form.

    Raises:
        SettingsError: it names no Sentinel or no service as it should, or an option of theirs is not allowed.
    """
    if not value.startswith(_SENTINEL):
        return None
    parts, user, hosts = _split(value, "sentinel")
    service, _, database = unquote(parts.path).removeprefix("/").partition("/")
    if not service or not re.fullmatch("[0-9]*", database):
        raise SettingsError(
            f"expected the path of a URL with Sentinels to be the name under which they know the primary, and behind "
            f"it the number of a database or none: {_LOOKS_LIKE['sentinel']}"
        )
    options = parse_qsl(parts.query, keep_blank_values=True)
    own = {name: text for name, text in options if name in _OF_SENTINELS}
    scheme = parts.scheme.removesuffix("+sentinel")
    query = urlencode([(name, text) for name, text in options if name not in own])
    server = checked_server_url(f"{scheme}://{user}{hosts[0]}/{database or 0}" + (f"?{query}" if query else ""))
    return SentinelParts(server, [_sentinel(host, own, server) for host in hosts], service)


def url_at(url: str, host: str, port: int) -> str:
    """Return the URL of another server, reached as that of ``url`` is."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    scheme = "redis" if parts.scheme == "unix" else parts.scheme
    path = "" if parts.scheme == "unix" else parts.path
    place = f"[{host}]" if ":" in host else quote(host, safe="")
    return parts._replace(scheme=scheme, netloc=f"{user}{at}{place}:{port}", path=path).geturl()


def _split(value: str, form: str) -> tuple[SplitResult, str, list[str]]:
    """Return the parts of a URL, the user with what follows, and the hosts with their ports."""
    if not value.isprintable() or " " in value:
        raise _torn(form)
    try:
        parts = urlsplit(value)
    except ValueError:
        raise _torn(form) from None
    user, at, hosts = parts.netloc.rpartition("@")
    found = hosts.split(",")
    if parts.fragment or "@" in parts.path + parts.query or not all(map(_HOST.fullmatch, found)):
        raise _torn(form)
    return parts, user + at, found


def _torn(form: str) -> SettingsError:
    return SettingsError(
        f"expected a URL whose parts can be told apart, as in {_LOOKS_LIKE[form]} (what stands in a user name or a "
        "password is percent-encoded: / is %2F, # is %23, ? is %3F, @ is %40; an IPv6 address stands in brackets)"
    )


def _sentinel(host: str, own: dict[str, str], server: str) -> dict[str, Any]:
    """Return the parameters of a connection to one Sentinel."""
    from redis.connection import parse_url

    tls = own.get("sentinel_tls", "true")
    if tls not in ("true", "false") or ("sentinel_tls" in own and not server.startswith("rediss:")):
        raise SettingsError(
            "expected the option sentinel_tls of the URL to be true or false, in rediss+sentinel:// only"
        )
    is_secret = server.startswith("rediss:") and tls == "true"
    given: dict[str, Any] = parse_url(server) if is_secret else {}  # type: ignore[no-untyped-call]
    parameters = {name: value for name, value in given.items() if name.startswith("ssl_")}
    if is_secret:
        parameters["ssl"] = True
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    parameters |= {"host": (name if colon else host).strip("[]"), "port": int(port) if colon else _SENTINEL_PORT}
    for option, parameter in (("sentinel_username", "username"), ("sentinel_password", "password")):
        if own.get(option):
            parameters[parameter] = own[option]
    return parameters
