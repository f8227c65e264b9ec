"""``lash.use``: another server in the place of a ``Lash``'s own, as a test of a program needs it."""

from __future__ import annotations

import asyncio
from typing import Any

import fakeredis
import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import SettingsError
from lash_redis.core.events import Event, ScheduleDeclared, ScheduleDiffers
from lash_redis.core.outcomes import Success
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.transport.urls import URL_VARIABLE
from lash_redis.worker.worker import Worker
from tests.app.working import waited_too_long
from tests.servers import Servers
from tests.support import wait_until

NOWHERE = "unix:///nowhere/s"


class Program:
    """A program as it is imported: a Lash without an argument, a task, a registry and a worker at module level."""

    def __init__(self, given: Any = NOWHERE, **options: Any) -> None:
        self.lash = Lash(given, **options)

        @self.lash.task(recovery="owner_bound", name="charge")
        async def charge(order_id: str) -> str:
            return f"receipt for {order_id}"

        self.charge = charge
        self.registry = self.lash.registry
        self.worker = Worker(self.registry, tasks=self.lash.tasks)

    async def run_once(self) -> Any:
        """Submit, run, and wait."""
        async with self.lash:
            process = await self.charge.submit("o-17")
            await self.worker.drive_pending()
            return await process.outcome(timeout=60)


@pytest.fixture
def program() -> Program:
    """Return a program whose server is not there."""
    return Program()


def test_what_was_made_before_follows(program: Program) -> None:
    """The tasks, the registry and the worker of the program's module; also without a ``with``."""
    program.lash.use(fakeredis.FakeAsyncRedis())

    assert asyncio.run(program.run_once()) == Success("receipt for o-17")
    assert program.lash.registry is program.registry
    assert program.registry.address.is_fake


def test_a_block_gives_the_former_server_back(program: Program) -> None:
    """Whatever is raised within it."""
    with program.lash.use(fakeredis.FakeAsyncRedis()):
        assert asyncio.run(program.run_once()) == Success("receipt for o-17")
    with pytest.raises(ZeroDivisionError), program.lash.use(fakeredis.FakeAsyncRedis()):
        raise ZeroDivisionError

    assert program.registry.address.url == NOWHERE


def test_each_test_has_a_server_of_its_own(program: Program) -> None:
    """Nothing that one said of its namespace is taken for the next one's, whichever door was used."""
    for _ in range(2):
        with program.lash.use(fakeredis.FakeAsyncRedis()):
            assert asyncio.run(program.run_once()) == Success("receipt for o-17")
            step = program.lash.blocking.expect("approval:1")
            assert step.request_abandon(by="ops").abandon_request is not None
            assert asyncio.run(program.registry.list_non_terminal(10)).records[0].id == step.id


def test_another_server_is_told_the_signatures_too(program: Program) -> None:
    """Or no other release could read the rows there."""
    for _ in range(2):
        server = fakeredis.FakeServer()
        with program.lash.use(fakeredis.FakeAsyncRedis(server=server)):
            asyncio.run(program.run_once())
        assert fakeredis.FakeRedis(server=server).hkeys("{lash:lash:0}:signatures") == [
            digest.encode() for digest in program.charge.declaration.signature.named
        ]


def test_another_server_is_told_the_schedules_too(program: Program) -> None:
    """With an event loop and without; so is the same one when the code declares a higher revision."""

    def declare(revision: int) -> None:
        program.lash.schedule("daily", program.charge, ("o-17",), cron="0 3 * * *", revision=revision)

    async def revisions() -> list[int]:
        return [each.revision for each in await program.lash.schedules.list()]

    for revision in (1, 2):
        with program.lash.use(fakeredis.FakeAsyncRedis()):
            declare(revision)
            assert asyncio.run(revisions()) == [revision]
            declare(revision + 1)
            assert [each.revision for each in program.lash.blocking.schedules.list()] == [revision + 1]


async def test_other_content_of_the_same_revision_is_told_to_whoever_runs_the_code_again(program: Program) -> None:
    """As an edited cell of a notebook does."""
    events: list[Event] = []
    with subscribed(events.append), program.lash.use(fakeredis.FakeAsyncRedis()):
        for seconds in (5, 5, 6, 6):
            program.lash.schedule("daily", program.charge, ("o-17",), every=seconds)
            (stands,) = await program.lash.schedules.list()
            assert stands.rule.spec == "every 5000"
    assert [type(each) for each in events if "schedule" in each.__struct_fields__] == [
        ScheduleDeclared,
        ScheduleDiffers,
    ]


async def test_one_event_loop_for_all_tests(program: Program) -> None:
    """As some test runners have it. What listened to the former server is silent."""
    for _ in range(2):
        with program.lash.use(fakeredis.FakeAsyncRedis()):
            step = await program.lash.expect("approval:1")
            await waited_too_long(step)
            assert await program.run_once() == Success("receipt for o-17")
    listener = program.lash._sessions.current().waiter._listener
    assert listener is None or listener.cancelled()


def test_a_real_server_in_its_place(servers: Servers, namespace: str) -> None:
    """And back to a fake one: what is known of the server decides how scripts are sent."""
    program = Program(fakeredis.FakeAsyncRedis(), namespace=namespace)
    for url in (servers["valkey"].url, servers["redis7"].url):
        assert asyncio.run(program.run_once()) == Success("receipt for o-17")
        with program.lash.use(url):
            assert asyncio.run(program.run_once()) == Success("receipt for o-17")
            assert program.lash.blocking.process("nobody").id == "nobody"
            assert program.charge.blocking.submit("o-18").record().is_terminal is False
    program.lash.blocking.close()


def test_the_number_of_partitions_is_asked_anew() -> None:
    """A Lash that takes it from the namespace takes it from the namespace that is there now."""
    program = Program(partitions=None)
    for count in (3, 5):
        server = fakeredis.FakeAsyncRedis()
        with Lash(server, partitions=count).blocking, program.lash.use(server):
            asyncio.run(program.run_once())
            assert program.registry.partitions == count


def test_none_is_the_server_of_the_environment(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``Lash()`` has it."""
    monkeypatch.setenv(URL_VARIABLE, "redis://environment")
    with program.lash.use(None):
        assert program.registry.address.url == "redis://environment"


async def test_a_lash_in_use_gets_no_other_server() -> None:
    """A block, a worker or a wait would find itself elsewhere. The error says what to do."""
    program = Program(fakeredis.FakeAsyncRedis())

    def refused() -> None:
        with pytest.raises(SettingsError, match=r"expected a Lash that nobody uses .*leave the blocks, drain"):
            program.lash.use(fakeredis.FakeAsyncRedis())

    async with program.lash:
        refused()
    running = asyncio.create_task(program.worker.run())
    await wait_until(lambda: program.worker.probe.is_at_rest, "it waits for work")
    refused()
    await program.worker.drain()
    await running
    step = await program.lash.expect("approval:1")
    waiting = asyncio.create_task(step.outcome())
    await wait_until(lambda: program.lash._sessions.current().waiter.has_waits, "it waits")
    refused()
    waiting.cancel()
    await wait_until(lambda: not program.lash._sessions.current().waiter.has_waits, "it waits no more")
    program.lash.use(fakeredis.FakeAsyncRedis())
    await program.lash.aclose()


def test_a_plain_block_is_a_use_too() -> None:
    """In any thread."""
    lash = Lash(fakeredis.FakeAsyncRedis())
    with lash.blocking, pytest.raises(SettingsError, match="nobody uses"):
        lash.use(NOWHERE)


@pytest.mark.parametrize("bad", ["http://example.org", 17, ""])
def test_a_bad_server_is_refused_and_changes_nothing(program: Program, bad: Any) -> None:
    """As the constructor refuses it."""
    with pytest.raises(SettingsError):
        program.lash.use(bad)
    assert program.registry.address.url == NOWHERE
