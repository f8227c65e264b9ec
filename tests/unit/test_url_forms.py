"""URLs that name several servers: what is read from them, and that no error shows a part of one."""

from __future__ import annotations

from typing import Any

import pytest
import redis
import redis.asyncio
import redis.sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.sentinel import Sentinel

from lash_redis.core.errors import SettingsError
from lash_redis.registry.transport.address import Address
from lash_redis.registry.transport.url_forms import checked_url, cluster_urls, sentinel_parts, url_at

SECRET = "hunter"


@pytest.mark.parametrize(
    ("url", "nodes"),
    [
        ("redis+cluster://a:1,b:2", ["redis://a:1/0", "redis://b:2/0"]),
        ("redis+cluster://ada:p%40@a,[::1]:2/0", ["redis://ada:p%40@a/0", "redis://ada:p%40@[::1]:2/0"]),
        ("rediss+cluster://:p@a:1/?ssl_cert_reqs=none", ["rediss://:p@a:1/0?ssl_cert_reqs=none"]),
    ],
)
def test_a_cluster_is_named_by_some_of_its_nodes(url: str, nodes: list[str]) -> None:
    """Each with the same user and options, and always with database 0."""
    assert cluster_urls(checked_url(url)) == nodes
    address = Address(url)
    assert (address.url, "@" in address.shown) == (url, False)


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://", "redis+cluster:///", "redis+cluster://a:1,", "redis+cluster://a:1;b:2", "redis+cluster://a:x",
        f"redis+cluster://ada:{SECRET}/1@a:1", f"redis+cluster://ada:{SECRET}#@a:1", "redis+cluster://a:0,b:1",
        "redis+sentinel://,/shop", f"redis+sentinel://:{SECRET}?@a:1/shop", "redis+sentinel://[::1/shop",
    ],
)  # fmt: skip
def test_what_cannot_be_told_apart_is_refused(url: str) -> None:
    """The error says how such a URL looks, and repeats nothing of this one."""
    with pytest.raises(SettingsError, match="can be told apart") as refusal:
        Address(url)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("url", ["redis+cluster://a:1/1", "redis+cluster://a:1/shop", "redis+cluster://a:1?db=2"])
def test_a_cluster_has_no_other_database(url: str) -> None:
    """And the error says what to do instead."""
    with pytest.raises(SettingsError, match="a namespace of its own"):
        Address(url)


@pytest.mark.parametrize("url", ["redis+sentinel://a:1", "redis+sentinel://a:1/", "redis+sentinel://a:1/shop/x"])
def test_sentinels_are_asked_for_a_name(url: str) -> None:
    """Without one the error shows where it stands."""
    with pytest.raises(SettingsError, match=r"redis\+sentinel://HOST:PORT,HOST:PORT/SERVICE"):
        Address(url)


def test_an_option_of_several_servers_is_one_of_one_server() -> None:
    """The same options are allowed, and no others."""
    for url in ("redis+cluster://a:1?retry_on_timeout=1", "redis+sentinel://a:1/shop?retry_on_timeout=1"):
        with pytest.raises(SettingsError, match="to have no option but"):
            Address(url)
    with pytest.raises(SettingsError, match="sentinel_tls"):
        Address("redis+sentinel://a:1/shop?sentinel_tls=false")


def test_sentinels_have_a_user_of_their_own() -> None:
    """What stands before the hosts is for the servers, and so is the database."""
    url = "rediss+sentinel://ada:p@a:1,[::1]/my%2Dshop/3?sentinel_username=eve&sentinel_password=q&ssl_cert_reqs=none"
    parts = sentinel_parts(checked_url(url))
    assert parts is not None

    assert (parts.server, parts.service) == ("rediss://ada:p@a:1/3?ssl_cert_reqs=none", "my-shop")
    own: dict[str, Any] = {"username": "eve", "password": "q", "ssl": True}
    assert [each | own == each for each in parts.sentinels] == [True, True]
    assert [(each["host"], each["port"]) for each in parts.sentinels] == [("a", 1), ("::1", 26379)]
    bare = sentinel_parts("rediss+sentinel://a:1/shop?sentinel_tls=false")
    assert bare is not None
    assert bare.sentinels == [{"host": "a", "port": 1}]


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("redis://ada:p@a:1/0?client_name=x", "redis://ada:p@h:7/0?client_name=x"),
        ("rediss://a/0", "rediss://h:7/0"),
        ("unix://:p@/run/s?client_name=x", "redis://:p@h:7?client_name=x"),
    ],
)
def test_another_node_is_reached_in_the_same_way(url: str, there: str) -> None:
    """With the same user and options."""
    assert url_at(url, "h", 7) == there
    assert url_at(url, "::1", 7) == there.replace("h:7", "[::1]:7")


def test_a_client_of_a_cluster_gives_its_nodes() -> None:
    """With its user; the blocking kind is tried on a real cluster, since making it asks one."""
    address = Address(redis.asyncio.RedisCluster(startup_nodes=[ClusterNode("a", 1)], username="ada", password="p"))

    assert address.cluster is not None
    assert (address.shown, address.user, address.url) == ("a:1", "ada", None)
    node = address.cluster.first.at("b", 2)
    for made in (node.blocking_client(1), node.async_client(1)):
        kwargs = made.connection_pool.connection_kwargs
        assert (kwargs["host"], kwargs["port"], kwargs["username"], kwargs["password"]) == ("b", 2, "ada", "p")


@pytest.mark.parametrize("kind", [redis.sentinel.Sentinel, Sentinel], ids=["blocking", "async"])
def test_a_client_of_sentinels_gives_where_they_are(kind: Any) -> None:
    """And the service; one of replicas is refused, since scripts write."""
    sentinel = kind([("a", 1), ("b", 2)], sentinel_kwargs={"password": "q"})
    address = Address(sentinel.master_for("shop", username="ada", db=3))

    assert (address.shown, address.user) == ("a:1,b:2/shop", "ada")
    for client in (address.async_client(1), address.blocking_client(1)):
        kwargs = client.connection_pool.connection_kwargs
        assert (kwargs["db"], kwargs["sentinels"].service) == (3, "shop")
        client.connection_pool.connection_class(**kwargs)
    with pytest.raises(SettingsError, match="master_for"):
        Address(sentinel.slave_for("shop"))
