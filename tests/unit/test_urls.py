"""The URLs of servers: what they may say, and that no error shows a part of one."""

from __future__ import annotations

import asyncio
import inspect
import traceback

import pytest
import redis.asyncio
import redis.connection

from lash_redis import Lash
from lash_redis.core.errors import LashError, SettingsError
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.url_forms import checked_url
from lash_redis.registry.transport.urls import URL_OPTIONS

SECRET = "hunter"


def everything_said_by(error: BaseException) -> str:
    """Return what a traceback of an error would show of it, and of every error behind it, suppressed or not."""
    said, todo = [], [error]
    while todo:
        each = todo.pop()
        said += [str(each), repr(each), *getattr(each, "__notes__", ())]
        todo += [other for other in (each.__context__, each.__cause__) if other is not None]
    return "\n".join([*said, "".join(traceback.format_exception(error))])


@pytest.mark.parametrize("mark", ["/", "#", "?", "[", "]", "@/", "/@", "#@", "?@", "\n", "\t", " ", "℀", "//", "]["])
@pytest.mark.parametrize("before", [SECRET, "12", ""])
@pytest.mark.parametrize("user", ["ada", ""])
@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix"])
def test_a_password_that_tears_the_url_is_shown_nowhere(scheme: str, user: str, before: str, mark: str) -> None:
    """Neither in the error nor in one that it was raised behind."""
    place = "/tmp/s" if scheme == "unix" else "127.0.0.1:1/0"
    url = f"{scheme}://{user}:{before}{mark}{SECRET}2@{place}"

    async def opened() -> None:
        registry = ProcessRegistry(url, timeout_s=0.2)
        try:
            await registry.open()
        finally:
            await registry.aclose()

    with pytest.raises(LashError) as refusal:
        asyncio.run(opened())
    lines = everything_said_by(refusal.value).splitlines()
    assert not [line for line in lines if SECRET in line and "SECRET" not in line]


@pytest.mark.parametrize("mark", ["/", "#", "?", "["])
def test_the_error_says_what_to_do(mark: str) -> None:
    """Such a character is percent-encoded."""
    with pytest.raises(SettingsError, match="percent-encoded"):
        checked_url(f"redis://:{SECRET}{mark}2@127.0.0.1:6379/0")


def test_a_percent_encoded_password_arrives_as_it_is() -> None:
    """And one with an @, which can be told apart."""
    password = "/#?[]@%: "
    parameters = Address("redis://ada:%2F%23%3F%5B%5D%40%25%3A%20@db:6380/3").blocking_client(1).connection_pool
    kwargs = parameters.connection_kwargs

    assert (kwargs["username"], kwargs["password"]) == ("ada", password)
    assert (kwargs["host"], kwargs["port"], kwargs["db"]) == ("db", 6380, 3)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h", "redis://h/", "redis://h:1/0", "rediss://h/15", "redis://[::1]:6379/1", "unix:///run/redis.sock",
        "unix://:p@/run/redis.sock?db=2", "redis://h?db=3", "redis://h?client_name=shop", "redis://:p@h@x",
        "rediss://h/0?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=false&ssl_min_version=771",
        "rediss://h/0?ssl_cert_reqs=none&ssl_include_verify_flags=VERIFY_X509_STRICT,VERIFY_X509_PARTIAL_CHAIN",
    ],
)  # fmt: skip
def test_a_url_that_can_be_understood_is_taken(url: str) -> None:
    """Of every scheme, with a database by number, and with options that change nothing of ours."""
    assert Address(url).url == url
    Address(url).blocking_client(1).close()


@pytest.mark.parametrize("port", ["78o1", "99999", "-1", "0", "65536"])
def test_a_port_is_a_number(port: str) -> None:
    """What may be meant as one is said, since the URL is not shown."""
    with pytest.raises(SettingsError, match="a port is a number from 1 to 65535"):
        Address(f"redis://h:{port}/0")


@pytest.mark.parametrize("path", ["/shop", "/1/2", "/-1", "/1x", "//1", "/0/", "/%31%2F2", "/²"])
def test_a_database_is_a_number(path: str) -> None:
    """redis-py would take database 0, or 12."""
    with pytest.raises(SettingsError, match="number of a database") as refusal:
        Address(f"redis://127.0.0.1:1{path}")
    assert path not in str(refusal.value)


@pytest.mark.parametrize("value", ["shop", "", "-1", "1.5"])
def test_the_option_db_is_a_number(value: str) -> None:
    """The same behind the question mark."""
    with pytest.raises(SettingsError, match="number of a database"):
        Address(f"redis://127.0.0.1:1?db={value}")


REFUSED_OPTIONS = (
    "decode_responses", "socket_timeout", "socket_connect_timeout", "retry_on_timeout", "retry_on_error", "protocol",
    "max_connections", "health_check_interval", "timeout", "encoding", "legacy_responses", "socket_read_size",
    "unheard_of",
)  # fmt: skip


@pytest.mark.parametrize("option", REFUSED_OPTIONS)
def test_an_option_that_is_ours_to_set_is_refused_by_name(option: str) -> None:
    """Its value is not shown."""
    with pytest.raises(SettingsError, match=f"got '{option}'") as refusal:
        Address(f"redis://127.0.0.1:1/0?{option}={SECRET}")
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs in a URL that begins with rediss://, got one with redis://"),
        ("unix:///s?ssl_ca_certs=/ca", "ssl_ca_certs in a URL that begins with rediss://, got one with unix://"),
        ("unix:///s?socket_keepalive=1", "socket_keepalive in a URL that begins with redis:// or rediss://"),
        ("rediss://h?ssl_foo=1", "no option but .*ssl_ca_certs.*, got 'ssl_foo'"),
        ("rediss://h?ssl_validate_ocsp=1", "no option but .*, got 'ssl_validate_ocsp'"),
        (f"rediss://h?ssl_cert_reqs={SECRET}", "ssl_cert_reqs of the URL to be none, optional or required$"),
        ("rediss://h?ssl_cert_reqs=", "to be none, optional or required"),
        ("rediss://h?ssl_check_hostname=off", "true or false"),
        ("rediss://h?ssl_min_version=TLSv1.2", "771"),
        ("rediss://h?ssl_include_verify_flags=STRICT", "names of ssl.VerifyFlags"),
        ("redis://h?client_name=a%20b", "a name without spaces"),
    ],
)
def test_an_option_that_would_look_like_a_server_that_is_down_is_refused(url: str, said: str) -> None:
    """By the constructor; each connection would fail otherwise."""
    with pytest.raises(SettingsError, match=said) as refusal:
        Address(url)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "options",
    [
        "ssl_ca_certs=/nonexistent/ca.pem", f"ssl_ca_certs={__file__}", "ssl_certfile=/nonexistent", "ssl_ciphers=none",
        "ssl_ca_data=none", "ssl_include_verify_flags=VERIFY_UNHEARD_OF",
    ],
)  # fmt: skip
@pytest.mark.parametrize("blocking", [False, True])
async def test_files_that_cannot_be_used_are_a_setting(options: str, blocking: bool) -> None:
    """They are read when the namespace is opened: an error in connecting would look like a server that is down."""
    registry = ProcessRegistry(f"rediss://127.0.0.1:1?{options}", timeout_s=0.2)

    opening = asyncio.to_thread(BlockingRegistry(registry).open) if blocking else registry.open()
    with pytest.raises(SettingsError, match="ssl_ options of the URL cannot be used"):
        await opening


def test_every_option_that_is_taken_is_known_to_both_clients_of_redis_py() -> None:
    """One of them alone would fail in connecting."""
    for module in (redis.connection, redis.asyncio.connection):
        tls = inspect.signature(module.SSLConnection).parameters
        assert {each for each in URL_OPTIONS if each.startswith("ssl_")} <= set(tls)


def test_every_option_that_redis_py_reads_is_taken_or_refused_on_purpose() -> None:
    """One that a later version adds is looked at here first."""
    known = set(redis.asyncio.connection.URL_QUERY_ARGUMENT_PARSERS) | set(redis.connection.URL_QUERY_ARGUMENT_PARSERS)

    assert known <= set(URL_OPTIONS) | set(REFUSED_OPTIONS)


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://h", "redis:h", "valkey://h"])
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    """By the constructor, and not at first use; an empty text too."""
    with pytest.raises(SettingsError, match=r"begins with redis://, rediss://, unix://, redis\+cluster://"):
        Lash(url)


def test_what_is_shown_of_a_url_is_no_secret() -> None:
    """Neither user, password nor options."""
    shown = Address(f"redis://ada:{SECRET}@db:6380/3?client_name={SECRET}").shown

    assert shown == "redis://db:6380/3"
