"""The address leads for a while to a server that lacks the namespace: nothing that is known is dropped (rule 8.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis.asyncio

from lash_redis.app.lash import Lash
from lash_redis.core.errors import NamespaceMismatch
from lash_redis.core.events import Event, ProcessResultRefused, WorkerUnavailable
from lash_redis.core.model import ExternalOwner, Phase
from lash_redis.core.outcomes import AbandonWriter, Success
from lash_redis.core.subscribers import subscribed
from lash_redis.recovery.leftovers import NOT_WRITTEN
from lash_redis.registry.registry import ProcessRegistry
from tests.app.test_waiting import has_waiter
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, work
from tests.conftest import delete_namespace
from tests.look import ended, evidence, is_in, outcomes
from tests.proxy import Proxy
from tests.servers import Server, Servers
from tests.services.benches import Bench
from tests.services.conftest import Crew
from tests.support import wait_until

BOUND = "owner_bound"
DESK = ExternalOwner("desk")


@pytest.fixture(scope="module")
def empty() -> Iterator[Server]:
    """Return a server without the namespace."""
    with Server("valkey") as running:
        yield running


@pytest.fixture
def home(servers: Servers) -> Server:
    """Return the server that has the namespace."""
    return servers["valkey"]


class Address:
    """The address that workers and clients know, and where it leads."""

    def __init__(self, proxy: Proxy, home: Server, empty: Server) -> None:
        self.url = proxy.url
        self._proxy, self._home, self._empty = proxy, home, empty

    def lead_astray(self) -> None:
        """Lead to the server without the namespace."""
        self._proxy.lead_to(self._empty.url)

    def lead_back(self) -> None:
        """Lead to the server with the namespace again."""
        self._proxy.lead_to(self._home.url)


@pytest.fixture
def address(home: Server, empty: Server) -> Iterator[Address]:
    """Return the address, which leads to the server with the namespace."""
    with Proxy(home.url) as proxy:
        yield Address(proxy, home, empty)


@pytest.fixture
async def registry(home: Server, namespace: str) -> AsyncIterator[ProcessRegistry]:
    """Return a registry that knows the server itself."""
    made = ProcessRegistry(home.url, namespace)
    await made.open()
    yield made
    await made.aclose()
    async with redis.asyncio.Redis.from_url(home.url) as raw:
        await delete_namespace(raw, namespace)


@pytest.fixture
async def far(address: Address, namespace: str, registry: ProcessRegistry) -> AsyncIterator[ProcessRegistry]:
    """Return an open registry that knows the address."""
    made = ProcessRegistry(address.url, namespace)
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture
def told() -> Iterator[list[Event]]:
    """Return what is told meanwhile."""
    events: list[Event] = []
    with subscribed(events.append):
        yield events


@pytest.fixture
def make_registry(far: ProcessRegistry) -> Callable[[], ProcessRegistry]:
    """Return what makes the registries of workers."""
    return lambda: far


def is_kept(told: list[Event]) -> bool:
    """Say whether a result could not be written because the namespace is not there."""
    return any(isinstance(each, WorkerUnavailable) and each.operation == "terminalize" for each in told)


async def test_results_are_kept_and_written_once_the_address_leads_back(
    registry: ProcessRegistry, address: Address, crew: Crew, told: list[Event]
) -> None:
    """Whatever their disposition: each ran once, has its own result, and none was refused."""
    again, bound = Bench(), Bench()
    worker = crew.worker(again.task(), bound.task(BOUND, name="bound"))
    await registry.register_many([work("a", RERUNNABLE, "a"), work("b", OWNER_BOUND, "b", task="bound")])
    async with crew.running(worker):
        await wait_until(lambda: again.begun and bound.begun, "both have begun")
        address.lead_astray()
        again.let_go("a")
        bound.let_go("b")
        await wait_until(lambda: not worker.probe.running and is_kept(told), "they have ended")
        address.lead_back()
        await ended(registry, "b")
        await ended(registry, "a")

    assert await outcomes(registry, "a", "b") == [Success("a done"), Success("b done")]
    assert (again.begun, bound.begun) == (["a"], ["b"])
    assert not [each for each in told if isinstance(each, ProcessResultRefused)]


async def test_a_drain_meanwhile_defers_what_it_knows_and_abandons_nothing(
    registry: ProcessRegistry, address: Address, crew: Crew, told: list[Event]
) -> None:
    """A result that could not be written is named; and so is the reason why there may be more."""
    bound = Bench()
    worker = crew.worker(bound.task(BOUND), last_writes_ms=500)
    await registry.register(work("p", OWNER_BOUND, "p"))
    async with crew.running(worker):
        await wait_until(lambda: bound.begun, "it has begun")
        address.lead_astray()
        bound.let_go("p")
        await wait_until(lambda: is_kept(told), "its result cannot be written")
        report = await worker.drain()

    deferred = {each.process_id: each.reason for each in report.deferred}
    assert deferred["p"] == NOT_WRITTEN
    assert "gone or changed" in deferred["*"]
    assert report.abandoned == []
    await is_in(registry, "p", Phase.STARTED)


async def test_a_drain_goes_on_once_the_address_leads_back(
    registry: ProcessRegistry, address: Address, crew: Crew, told: list[Event]
) -> None:
    """Within its time: the result is written, what it stopped is abandoned, and nothing is deferred."""
    bound = Bench()
    worker = crew.worker(bound.task(BOUND), last_writes_ms=30_000)
    await registry.register_many([work("p", OWNER_BOUND, "p"), work("q", OWNER_BOUND, "q")])
    async with crew.running(worker):
        await wait_until(lambda: len(bound.begun) == 2, "both have begun")
        address.lead_astray()
        bound.let_go("p")
        await wait_until(lambda: is_kept(told), "its result cannot be written")
        draining = asyncio.create_task(worker.drain())
        await wait_until(lambda: bound.stopped == ["q"], "the grace is over")
        address.lead_back()
        report = await draining

    assert (report.deferred, report.abandoned) == ([], ["q"])
    assert await outcomes(registry, "p") == [Success("p done")]
    assert evidence(await ended(registry, "q")).writer is AbandonWriter.OWNER_DRAIN


async def test_a_wait_goes_on_and_its_error_at_the_timeout_is_that_of_its_reads(
    registry: ProcessRegistry, address: Address, namespace: str
) -> None:
    """It is no word about the process: nothing was pruned. The record cannot be had meanwhile."""
    async with Lash(address.url, namespace) as lash:
        step = await lash.expect("approval:1")
        await asyncio.to_thread(step.blocking.record)
        waiter = asyncio.create_task(step.outcome(timeout=60))
        await wait_until(lambda: has_waiter(lash, step), "it waits")
        address.lead_astray()
        for timeout in (0, 0.5):
            with pytest.raises(NamespaceMismatch, match="gone or changed"):
                await step.outcome(timeout=timeout)
            with pytest.raises(NamespaceMismatch, match="gone or changed"):
                await asyncio.to_thread(step.blocking.outcome, timeout)
        with pytest.raises(NamespaceMismatch):
            await step.record()
        assert not waiter.done()
        address.lead_back()
        await registry.complete_unleased("approval:1", Success(1), DESK)
        assert await waiter == Success(1)


async def test_a_namespace_that_does_not_fit_ends_a_wait(registry: ProcessRegistry, home: Server) -> None:
    """It was never opened with these settings, and will not be later."""
    lash = Lash(home.url, registry.namespace, partitions=2)
    with pytest.raises(NamespaceMismatch, match="partitions"):
        await lash.process("p").outcome(timeout=60)
    with pytest.raises(NamespaceMismatch, match="partitions"):
        await asyncio.to_thread(lash.process("p").blocking.outcome, 60)
    await lash.aclose()
