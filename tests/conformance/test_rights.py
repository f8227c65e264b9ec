"""Opening proves that the server's ACL allows whatever will be needed, and changes nothing (rule 8.14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import Success
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls import proving
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, begun, cancel, work
from tests.servers import KINDS, Server
from tests.soundness import keyspace

NAME = "rights"
Poor = Callable[..., Awaitable[ProcessRegistry]]
LINE = proving.acl_line("poor", NAME).split()[3:]


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Own a server on which users are made."""
    with Server(request.param) as running:
        yield running


@pytest.fixture
async def raw(server: Server) -> AsyncIterator[Any]:
    """Return a client that may do anything; the server is empty."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def poor(server: Server, raw: Any) -> AsyncIterator[Poor]:
    """Return what makes a registry under a user with these rights."""
    made: list[ProcessRegistry] = []

    async def make(*rights: str, partitions: int | None = 1) -> ProcessRegistry:
        await raw.execute_command("ACL", "SETUSER", "poor", "reset", "on", ">secret", *rights)
        made.append(ProcessRegistry(server.url.replace("unix://", "unix://poor:secret@"), NAME, partitions))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


def test_what_is_proven_is_what_the_scripts_call() -> None:
    """Every command of the Lua, and those by which scripts are sent and messages received."""
    folder = files("lash_redis.registry") / "lua"
    sources = [
        each.read_text("utf-8") for each in [*folder.iterdir(), *(folder / "include").iterdir()] if each.is_file()
    ]
    called = {command for source in sources for command in re.findall(r"redis\.call\('([A-Z]+)'", source)}

    assert set(proving.COMMANDS) == called | {"EVAL", "EVALSHA", "SUBSCRIBE", "UNSUBSCRIBE", "PING", "INFO"}


async def test_the_line_of_the_docs_is_enough(poor: Poor, raw: Any) -> None:
    """With it everything works that a worker, a program and an operator do; the docs show it."""
    mine = await poor(*LINE)
    await mine.register(work())
    await mine.request_cancel("p", cancel())
    await mine.register(work("q"))
    await mine.complete(await begun(mine, "q", ADA), Success(1))
    await mine.prune(0)

    assert (await mine.check_server()).durability
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    assert " ".join(proving.acl_line("lash", "lash").split()) in " ".join(page.replace("\\\n", " ").split())


@pytest.mark.parametrize(
    ("rights", "named"),
    [
        ([*LINE, "resetchannels"], [r"the channels \{lash:rights:0\}:to:"]),
        ([*LINE, "resetkeys"], ["NOPERM|reading the keys", r"~\{lash:rights:\*"]),
        ([*LINE, "resetkeys", "~{lash:another:*"], [r"reading the keys \{lash:rights:0\}:hdr", "writing the keys"]),
        ([*LINE, "resetkeys", "%R~{lash:rights:*"], [r"user 'poor' writing the keys \{lash:rights:0\}:hdr"]),
        ([*LINE, "resetkeys", "~{lash:rights:*}:hdr"], [r"reading the keys \{lash:rights:0\}:p:x"]),
        ([*LINE, "-zadd"], ["the commands ZADD;"]),
        ([*LINE, "-time", "-hincrby", "-publish"], ["the commands HINCRBY, PUBLISH, TIME;"]),
        ([*LINE, "-publish", "resetchannels"], ["the channels", "ACL SETUSER"]),
        ([*LINE, "-subscribe"], ["the commands SUBSCRIBE;"]),
        ([*LINE, "-evalsha"], ["the commands EVALSHA;"]),
        ([*LINE, "-eval"], ["'eval'", "ACL SETUSER poor"]),
        ([*LINE, "-info"], ["'info'"]),
        (["allkeys", "allchannels", "+@all", "-@dangerous", "-@scripting"], ["NOPERM"]),
    ],
)
@pytest.mark.parametrize("adopts", [False, True])
async def test_what_is_missing_is_named_before_anything_is_written(
    rights: list[str], named: list[str], adopts: bool, poor: Poor, raw: Any
) -> None:
    """In one error, with the line that would allow it; also for one who only looks."""
    if adopts:
        full = await poor("allkeys", "allchannels", "+@all")
        await full.open()
        await full.aclose()
    before = await keyspace(raw, NAME)
    mine = await poor(*rights, partitions=None if adopts else 1)

    with pytest.raises(SettingsError) as refusal:
        await mine.open()
    for text in named:
        assert re.search(text, str(refusal.value)), str(refusal.value)
    assert await keyspace(raw, NAME) == before
    assert "secret" not in str(refusal.value)


async def test_a_new_user_without_channels_is_refused(poor: Poor) -> None:
    """As Redis 7 makes them: its scripts would be ended behind their commit, where they publish."""
    with pytest.raises(SettingsError, match=r"the channels .*&\{lash:rights:\*"):
        await (await poor("~*", "+@all")).open()


async def test_each_partition_is_proven(poor: Poor) -> None:
    """A pattern may name one of them."""
    mine = await poor(*LINE, "resetkeys", "~{lash:rights:0}:*", partitions=3)

    with pytest.raises(SettingsError, match=r"reading the keys \{lash:rights:1\}:hdr, \{lash:rights:2\}:hdr"):
        await mine.open()


async def test_who_reads_needs_the_rights_to_read(poor: Poor, raw: Any) -> None:
    """An operator may look with them, and is told what is missing before anything is written."""
    full = await poor("allkeys", "allchannels", "+@all")
    await full.register(work())
    await full.aclose()
    line = proving.acl_line("poor", NAME, to_read=True).split()[3:]
    mine = await poor(*line, partitions=None)
    before = await keyspace(raw, NAME)

    await mine.open(to_read=True)
    assert await mine.get("p") is not None
    assert (await mine.counts(0)).lanes
    with pytest.raises(SettingsError, match=r"writing the keys .*the channels .*ACL SETUSER poor ~"):
        await mine.request_cancel("p", cancel())
    assert await keyspace(raw, NAME) == before
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    shown = proving.acl_line("look", "lash", to_read=True)
    assert " ".join(shown.split()) in " ".join(page.replace("\\\n", " ").split())


async def test_who_reads_and_may_not_is_told_what_is_missing(poor: Poor) -> None:
    """With the line for one who reads."""
    line = proving.acl_line("poor", NAME, to_read=True).split()[3:]

    with pytest.raises(
        SettingsError, match=r"the commands HMGET; this does: ACL SETUSER poor ~\{lash:rights:\* \+eval"
    ):
        await (await poor(*line, "-hmget")).open(to_read=True)


async def test_code_without_an_event_loop_proves_it_too(poor: Poor) -> None:
    """It opens by the same rules."""
    blocking = BlockingRegistry(await poor(*LINE, "resetchannels"))

    with pytest.raises(SettingsError, match="the channels"):
        blocking.get("p")
    blocking.close()


async def test_a_wrong_password_is_a_setting(server: Server, raw: Any) -> None:
    """The message does not show it."""
    mine = ProcessRegistry(server.url.replace("unix://", "unix://nobody:hunter2@"), NAME)

    with pytest.raises(SettingsError, match="WRONGPASS") as refusal:
        await mine.open()
    assert "hunter2" not in str(refusal.value)
    await mine.aclose()
