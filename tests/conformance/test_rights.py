"""Opening proves that the server's ACL allows whatever will be needed, and changes nothing (rule 8.14)."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from lash_redis.core.errors import RegistryUnavailable, SettingsError
from lash_redis.core.events import RegistryBadAnswer
from lash_redis.core.outcomes import Success
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls import proving
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, begun, cancel, work
from tests.lua.lua_files import sources
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


def pasted(user: str) -> list[str]:
    """Return the words that a shell makes of the line for a user in the docs."""
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    line = re.search(rf"^ *redis-cli ACL SETUSER {user} (.*\\\n)*.*$", page, re.MULTILINE)
    assert line is not None
    words = shlex.shlex(line[0].replace("\\\n", " "), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    return list(words)


def test_what_is_proven_is_what_the_scripts_call() -> None:
    """Every command of the Lua, and those by which scripts are sent and messages received."""
    called = {command for source in sources().values() for command in re.findall(r"redis\.p?call\('([A-Z]+)'", source)}

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
    assert pasted("lash") == ["redis-cli", *proving.acl_line("lash", "lash").split()]


@pytest.mark.parametrize(
    ("rights", "named"),
    [
        (
            [*LINE, "resetchannels"],
            [r"^the ACL user 'poor' lacks: the channels \{lash:rights:\*\. This allows it: ACL"],
        ),
        ([*LINE, "resetkeys"], ["NOPERM|reading the keys", r"~\{lash:rights:\*"]),
        (
            [*LINE, "resetkeys", "~{lash:another:*"],
            [r"reading the keys \{lash:rights:\*, writing the keys \{lash:rights:\*\. "],
        ),
        ([*LINE, "resetkeys", "%R~{lash:rights:*"], [r"'poor' lacks: writing the keys \{lash:rights:\*\. "]),
        ([*LINE, "resetkeys", "~{lash:rights:*}:hdr"], [r"reading the keys \{lash:rights:0\}:p:x"]),
        ([*LINE, "-zadd"], [r"the commands ZADD\. "]),
        ([*LINE, "-time", "-hincrby", "-publish"], [r"the commands HINCRBY, PUBLISH, TIME\. "]),
        ([*LINE, "-publish", "resetchannels"], ["the channels", "ACL SETUSER"]),
        ([*LINE, "-subscribe"], [r"the commands SUBSCRIBE\. "]),
        ([*LINE, "-evalsha"], [r"the commands EVALSHA\. "]),
        ([*LINE, "-eval"], ["'eval'", "ACL SETUSER poor"]),
        ([*LINE, "-info"], ["'info'", "This allows it: ACL SETUSER poor"]),
        (["+info"], ["'eval'", "This allows it: ACL SETUSER poor"]),
        (["allkeys", "allchannels", "+@all", "-@dangerous", "-@scripting"], ["NOPERM", "This allows it"]),
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
    assert pasted("look") == ["redis-cli", *proving.acl_line("look", "lash", to_read=True).split()]


async def test_who_reads_and_may_not_is_told_what_is_missing(poor: Poor) -> None:
    """With the line for one who reads."""
    line = proving.acl_line("poor", NAME, to_read=True).split()[3:]

    with pytest.raises(
        SettingsError, match=r"the commands HMGET\. This allows it: ACL SETUSER poor ~\{lash:rights:\* \+eval"
    ):
        await (await poor(*line, "-hmget")).open(to_read=True)


@pytest.mark.parametrize(
    ("options", "command"), [("db=5", "select"), ("client_name=shop", "client|setname"), ("db=0", None)]
)
async def test_what_a_url_makes_connections_send_is_in_the_line(
    options: str, command: str | None, server: Server, poor: Poor, raw: Any
) -> None:
    """Another database and a name are commands that a user must be allowed; with the line it works."""
    await poor(*LINE)
    url = server.url.replace("unix://", "unix://poor:secret@")
    mine = ProcessRegistry(f"{url}?{options}", NAME)
    if command is not None:
        with pytest.raises(SettingsError, match=f"NOPERM.*{re.escape(command)}.*This allows it: ACL") as refusal:
            await mine.open()
        assert str(refusal.value).split()[-1] == f"+{command}"
        await raw.execute_command(*str(refusal.value).partition("This allows it: ")[2].split())
    await mine.open()
    await mine.aclose()


@pytest.mark.parametrize("taken", ["-hset", "-hmget", "-time", "-evalsha", "resetchannels", "resetkeys"])
async def test_a_right_that_is_taken_away_is_told_with_the_line_that_allows_it(
    taken: str, poor: Poor, raw: Any
) -> None:
    """Whatever words the server has for it; the same call succeeds once the right is back."""
    mine = await poor(*LINE)
    await mine.register(work("p"))
    await begun(mine, "p", ADA)
    await raw.execute_command("ACL", "SETUSER", "poor", taken)
    told: list[RegistryBadAnswer] = []
    with subscribed(lambda event: told.append(event) if isinstance(event, RegistryBadAnswer) else None):
        for call in (mine.request_cancel("p", cancel()), mine.register(work("q"))):
            with suppress(RegistryUnavailable):  # without its channel a call has its effect, and nobody is woken
                await call

    assert told
    assert all("the server's ACL does not allow" in each.meaning for each in told)
    await raw.execute_command(*told[0].meaning.partition("This allows it: ")[2].split())
    assert (await mine.register(work("q"))).id == "q"


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
