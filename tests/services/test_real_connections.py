"""Real connections through a proxy: what a server, a link, a fork or Ctrl-C may do to them (rules 8.11 and 8.13)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from lash_redis.app.lash import Lash
from lash_redis.core.errors import RegistryUnavailable, ScriptError, SettingsError
from lash_redis.core.events import RegistryBadAnswer
from lash_redis.core.outcomes import Success
from lash_redis.core.subscribers import subscribed
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.keys import channel, owner_digest
from lash_redis.registry.listening import listen, listen_blocking
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.blocking_patience import BlockingPatience
from lash_redis.worker.worker import Worker
from tests.conformance.actors import ADA, BOB, LONG_MS, OWNER_BOUND, RERUNNABLE, begun, work
from tests.conftest import delete_namespace
from tests.fault_kinds import FAULT_KINDS, SWALLOW, FaultKind
from tests.look import ended
from tests.proxy import Proxy
from tests.servers import Servers
from tests.services.benches import Bench
from tests.support import block_until, wait_until

SILENCE_S = 0.4
SLOW_BYTES = 200_000  # a second
SLOW_SILENCE_S = 1.75  # a third of what 900 kB need at that rate, and more than a busy machine stalls the proxy


@pytest.fixture
def proxy(servers: Servers) -> Iterator[Proxy]:
    """Return a proxy before one real server: what it answers is the proxy's to say."""
    with Proxy(servers["valkey"].url) as made:
        yield made


@pytest.fixture
def timeout_s() -> float:
    """Return how long a server may be silent; a test of silence has a shorter time."""
    return 5.0


@pytest.fixture
async def registry(proxy: Proxy, servers: Servers, namespace: str, timeout_s: float) -> AsyncIterator[ProcessRegistry]:
    """Return an open registry behind the proxy."""
    made = ProcessRegistry(proxy.url, namespace, timeout_s=timeout_s)
    await made.open()
    yield made
    proxy.heal()
    await made.aclose()
    async with redis.asyncio.Redis.from_url(servers["valkey"].url) as raw:
        await delete_namespace(raw, namespace)


@pytest.fixture
def blocking(registry: ProcessRegistry) -> Iterator[BlockingRegistry]:
    """Return its blocking counterpart."""
    made = BlockingRegistry(registry)
    yield made
    made.close()


@pytest.fixture
def told() -> Iterator[list[RegistryBadAnswer]]:
    """Return what is told meanwhile of answers that time alone may not cure."""
    events: list[RegistryBadAnswer] = []
    with subscribed(lambda event: events.append(event) if isinstance(event, RegistryBadAnswer) else None):
        yield events


@pytest.mark.parametrize("kind", [each for each in FAULT_KINDS if each.name != SWALLOW], ids=str)
async def test_whatever_answers_a_call_the_same_call_succeeds_later(
    kind: FaultKind, registry: ProcessRegistry, proxy: Proxy
) -> None:
    """One attempt is struck, and the next one finds what the first has done, if it has done it."""
    kind.strike(proxy, "register")

    assert (await registry.register(work())).id == "p"


@pytest.mark.parametrize("kind", [each for each in FAULT_KINDS if each.name != SWALLOW], ids=str)
async def test_an_answer_that_goes_on_is_an_unavailable_registry(
    kind: FaultKind, registry: ProcessRegistry, proxy: Proxy
) -> None:
    """Whatever its text; and what may have been applied is said to."""
    await registry.register(work("known"))
    fault = kind.strike(proxy, "register", times=None)

    with pytest.raises(RegistryUnavailable) as outage:
        await registry.register(work())
    assert outage.value.maybe_applied or kind.before
    fault.end()
    assert (await registry.get("p") is None) is kind.before


@pytest.mark.parametrize("timeout_s", [SILENCE_S])
async def test_a_call_that_nobody_answers_is_over_once_nothing_moved_for_the_time_out(
    registry: ProcessRegistry, proxy: Proxy
) -> None:
    """It may have been applied, and the next one has another connection."""
    for before in (True, False):
        proxy.swallow("register", before=before, times=1)
        assert (await registry.register(work(str(before)))).id == str(before)


async def test_what_nobody_understands_is_told_at_level_error(
    registry: ProcessRegistry, proxy: Proxy, told: list[RegistryBadAnswer]
) -> None:
    """Once for each call that met it; what time cures by itself is not."""
    proxy.answer("register", "LOADING Redis is loading the dataset in memory", before=True)
    await registry.register(work("p"))
    assert told == []

    proxy.answer("register", "ERR upstream failure", before=True)
    await registry.register(work("q"))
    assert [(each.level, each.reply) for each in told] == [(logging.ERROR, "ERR upstream failure")]


async def test_a_reply_outside_its_contract_is_told_and_is_an_error_of_its_own(
    registry: ProcessRegistry, told: list[RegistryBadAnswer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what the reply carries, which may be a payload."""

    async def answer(*_: Any, **__: Any) -> list[Any]:
        return [b"WHATEVER", b"secret"]

    monkeypatch.setattr(registry.sender.transport, "run", answer)
    with pytest.raises(ScriptError):
        await registry.register(work())
    assert len(told) == 1
    assert "secret" not in str(told[0])


async def test_a_refusal_of_an_open_namespace_is_not_now(
    registry: ProcessRegistry, proxy: Proxy, told: list[RegistryBadAnswer]
) -> None:
    """An operator who changes the server's users for a moment ends nothing."""
    proxy.answer("register", "NOPERM User ada has no permissions to run the 'evalsha' command", before=True, times=3)

    with pytest.raises(RegistryUnavailable):
        await registry.register(work())
    assert len(told) == 3
    assert (await registry.register(work())).id == "p"


@pytest.mark.parametrize("reply", ["NOPERM no", "NOAUTH Authentication required.", "WRONGPASS no", "MOVED 1 h:1"])
async def test_a_refusal_while_opening_is_a_setting(reply: str, proxy: Proxy, namespace: str) -> None:
    """Waiting would not help whoever has just started; the server's own word is kept."""
    proxy.answer("FCALL", reply, before=True, times=None)
    registry = ProcessRegistry(proxy.url, namespace)

    with pytest.raises(SettingsError, match=reply):
        await registry.open()
    await registry.aclose()


@pytest.mark.parametrize("refusal", ["NOPERM no", "NOAUTH Authentication required.", "ERR upstream failure"])
async def test_a_refusal_does_not_forget_a_claim_that_was_applied(
    refusal: str, registry: ProcessRegistry, proxy: Proxy
) -> None:
    """Its answer was lost, and what it is asked for again is refused for a while: its rows run, once."""
    bound = Bench(is_open=True)
    worker = Worker(registry, [bound.task("owner_bound")], poll_ms=50)
    await registry.register(work("p", OWNER_BOUND, "p"))
    lost = proxy.cut("claim_next", before=False)
    refused = proxy.answer("claim_next", refusal, before=True, times=4, only=lambda _: lost.has_ended)
    running = asyncio.create_task(worker.run())

    assert (await ended(registry, "p")).outcome == Success("p done")
    assert refused.has_ended
    assert bound.begun == ["p"]
    await worker.drain()
    await running


async def test_a_demoted_primary_is_left_by_every_connection(registry: ProcessRegistry, proxy: Proxy) -> None:
    """It keeps its connections and answers READONLY: the next attempt, and every other call, has a new connection."""
    await registry.register_many([work("p"), work("q"), work("r")])
    lease = await begun(registry, "p", ADA)
    await registry.claim("q", BOB, LONG_MS)
    await registry.renew(lease, LONG_MS)
    old = proxy.accepted
    proxy.demote()

    await registry.renew(lease, LONG_MS)
    struck = len(proxy.sent)
    await registry.claim("r", ADA, LONG_MS)
    await registry.get("p")
    await registry.complete(lease, Success(1))
    assert {call.name for call in proxy.sent[struck:]} >= {"claim", "get", "terminalize"}
    assert not [call.name for call in proxy.sent[struck:] if call.connection <= old]


def test_a_blocking_client_leaves_a_demoted_primary(blocking: BlockingRegistry, proxy: Proxy) -> None:
    """A renewal by a thread reaches the new primary at its next attempt."""
    blocking.renew_owned(0, [owner_digest(ADA)], LONG_MS)
    proxy.demote()

    with pytest.raises(RegistryUnavailable, match="READONLY"):
        blocking.renew_owned(0, [owner_digest(ADA)], LONG_MS)  # it is sent once
    assert blocking.renew_owned(0, [owner_digest(ADA)], LONG_MS) == []


async def test_a_subscription_to_a_demoted_primary_is_made_again(
    registry: ProcessRegistry, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is dropped with the others: what the new primary publishes is heard."""
    monkeypatch.setattr("lash_redis.registry.subscription.QUIET_MS", 100)
    stands: list[int] = []
    listener = asyncio.create_task(listen(registry, "me", lambda *_: None, lambda: stands.append(proxy.accepted)))
    await wait_until(lambda: stands, "it has subscribed")
    await registry.register(work())
    proxy.demote()
    await registry.register(work("q"))

    await wait_until(lambda: stands[-1] > stands[0], "it has subscribed on a new connection")
    await _ended(listener)


def test_a_blocking_subscription_to_a_demoted_primary_is_made_again(blocking: BlockingRegistry, proxy: Proxy) -> None:
    """The same in a thread."""
    stands, stopped = [], threading.Event()
    listener = threading.Thread(
        target=listen_blocking,
        args=(blocking, "me", lambda *_: None, lambda: stands.append(proxy.accepted), stopped),
        daemon=True,
    )
    listener.start()
    block_until(lambda: stands, "it has subscribed")
    blocking.renew_owned(0, [owner_digest(ADA)], LONG_MS)
    proxy.demote()
    with contextlib.suppress(RegistryUnavailable):
        blocking.renew_owned(0, [owner_digest(ADA)], LONG_MS)

    block_until(lambda: stands[-1] > stands[0], "it has subscribed on a new connection")
    stopped.set()
    listener.join(5)


async def test_a_subscription_that_is_refused_at_first_is_an_error(registry: ProcessRegistry, proxy: Proxy) -> None:
    """Whoever listens gets it, and does not wait for messages that cannot come."""
    proxy.answer("SUBSCRIBE", "NOPERM User ada has no permissions to access one of the channels", before=True)

    with pytest.raises(SettingsError, match="NOPERM"):
        await listen(registry, "me", lambda *_: None, lambda: None)


async def test_whoever_waits_gets_the_refusal_of_its_subscription(proxy: Proxy, namespace: str) -> None:
    """On an event loop and in a thread: a wait that could not hear the end would be slow without a word."""
    async with Lash(proxy.url, namespace) as lash:
        step = await lash.expect("approval:1")
        proxy.answer(
            "SUBSCRIBE", "NOPERM User ada has no permissions to access one of the channels", before=True, times=2
        )

        with pytest.raises(SettingsError, match="NOPERM"):
            await step.outcome(timeout=10)
        with pytest.raises(SettingsError, match="NOPERM"):
            await asyncio.to_thread(step.blocking.outcome, timeout=10)


async def test_a_subscription_that_is_refused_later_is_told_and_tried_again(
    registry: ProcessRegistry, proxy: Proxy, told: list[RegistryBadAnswer]
) -> None:
    """It was allowed once."""
    stands: list[int] = []
    listener = asyncio.create_task(listen(registry, "me", lambda *_: None, lambda: stands.append(1)))
    await wait_until(lambda: stands, "it has subscribed")
    proxy.answer("SUBSCRIBE", "NOPERM User ada has no permissions to access one of the channels", before=True, times=2)
    proxy.cut_all()

    await wait_until(lambda: len(stands) == 2, "it has subscribed again")
    assert {each.operation for each in told} == {"subscribe"}
    await _ended(listener)


@pytest.fixture(params=[False, True], ids=["unix", "tcp"])
def slow(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Proxy]:
    """Return a proxy that lets few bytes a second pass, on a socket or on a port."""
    with Proxy(servers["valkey"].url, tcp=request.param) as made:
        yield made


async def test_a_long_answer_is_no_silence(slow: Proxy, namespace: str) -> None:
    """It takes several time-outs, and bytes move all the time: async and blocking."""
    registry = ProcessRegistry(slow.url, namespace, timeout_s=SLOW_SILENCE_S)
    blocking = BlockingRegistry(registry)
    await registry.register(work("p", RERUNNABLE, "x" * 900_000))
    blocking.open()
    await registry.get("unknown")
    known = slow.counts["get"]
    slow.throttle(down=SLOW_BYTES)

    found = await asyncio.gather(registry.get("p"), asyncio.to_thread(blocking.get, "p"))
    assert [len(str(each)) > 900_000 for each in found] == [True, True]
    assert slow.counts["get"] == known + 2
    await registry.aclose()
    blocking.close()


async def test_a_long_request_is_no_silence(slow: Proxy, namespace: str) -> None:
    """While it is being written, and while the kernel sends what was written."""
    registry = ProcessRegistry(slow.url, namespace, timeout_s=SLOW_SILENCE_S)
    blocking = BlockingRegistry(registry)
    await registry.open()
    blocking.open()
    await registry.register(work("known"))
    known = slow.counts["register"]
    slow.throttle(up=SLOW_BYTES)
    p, q = (work(each, RERUNNABLE, "x" * 900_000) for each in "pq")
    await asyncio.gather(registry.register(p), asyncio.to_thread(blocking.register_many, [q]))

    assert slow.counts["register"] == known + 2
    await registry.aclose()
    blocking.close()


@pytest.mark.parametrize("timeout_s", [SILENCE_S])
def test_silence_ends_a_blocking_call(blocking: BlockingRegistry, proxy: Proxy) -> None:
    """Nothing moves: the call ends after the time-out, and the next one has another connection."""
    blocking.open()
    proxy.swallow("renew_owned", before=True)

    with pytest.raises(RegistryUnavailable, match="Timeout"):
        blocking.renew_owned(0, [owner_digest(ADA)], LONG_MS)
    assert blocking.renew_owned(0, [owner_digest(ADA)], LONG_MS) == []


def test_a_call_after_ctrl_c_does_not_read_the_answer_to_the_call_before(
    blocking: BlockingRegistry, proxy: Proxy
) -> None:
    """Wherever Ctrl-C struck: the connection on which an answer is owed is not used again."""
    blocking.register_many([work("p"), work("q")])
    held = proxy.hold("get", before=False)

    def interrupt() -> None:
        block_until(lambda: held.struck, "the answer is held")
        os.kill(os.getpid(), signal.SIGINT)

    ctrl_c = threading.Thread(target=interrupt, daemon=True)
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        blocking.get("p")
    ctrl_c.join()
    held.end()

    record = blocking.get("q")
    assert record is not None
    assert record.id == "q"


@pytest.mark.parametrize("place", ["read_response", "put_nowait"])
def test_ctrl_c_outside_the_connection_itself_drops_it_too(
    place: str, blocking: BlockingRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between request and answer, or while the connection goes back to its pool."""
    blocking.register_many([work("p"), work("q")])
    pool: Any = blocking.connections._clients["calls"].connection_pool  # noqa: SLF001

    def interrupted(*_: Any, **__: Any) -> Any:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(BlockingPatience if place == "read_response" else pool.pool, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        blocking.get("p")

    record = blocking.get("q")
    assert record is not None
    assert record.id == "q"


async def test_a_cancelled_call_leaves_no_answer_behind(registry: ProcessRegistry, proxy: Proxy) -> None:
    """On an event loop: the same for a task that is cancelled while it waits."""
    await registry.register_many([work("p"), work("q")])
    held = proxy.hold("get", before=False)
    call = asyncio.create_task(registry.get("p"))
    await wait_until(lambda: held.struck, "the answer is held")
    await _ended(call)
    held.end()

    record = await registry.get("q")
    assert record is not None
    assert record.id == "q"


def in_child(what: Callable[[], object]) -> int:
    """Run something in a forked child; return its exit status: 0 if it was true."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if what() else 1)
        except BaseException:  # noqa: BLE001 - the child must not go on as a second test run
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_has_connections_of_its_own(blocking: BlockingRegistry, proxy: Proxy) -> None:
    """Blocking ones: the inherited ones carry nothing more of the child, and those of the parent go on."""
    blocking.register_many([work("p")])
    before = proxy.accepted
    connections = {call.connection for call in proxy.sent}

    assert in_child(lambda: blocking.get("p") is not None and _closed(blocking)) == 0

    from_child = [call for call in proxy.sent if call.connection > before]
    assert "get" in {call.name for call in from_child}
    assert connections & proxy.open_connections, "the parent's connections stay open"
    assert blocking.get("p") is not None
    assert proxy.sent[-1].connection in connections


def _closed(blocking: BlockingRegistry) -> bool:
    blocking.close()
    return True


def test_a_forked_child_uses_the_registry_on_an_event_loop_of_its_own(
    servers: Servers, proxy: Proxy, namespace: str
) -> None:
    """Async ones: nothing is sent on what the parent's event loop holds, whatever the child does with its own."""
    registry = ProcessRegistry(proxy.url, namespace)
    stands: list[int] = []

    async def once() -> bool:
        try:
            return await registry.get("p") is not None
        finally:
            await registry.aclose()

    async def run() -> None:
        await registry.register(work())
        listener = asyncio.create_task(listen(registry, "me", lambda *_: None, lambda: stands.append(1)))
        await wait_until(lambda: stands, "it listens")
        before = list(proxy.open_connections)
        sent = len(proxy.sent)
        child = os.fork()
        if child == 0:
            asyncio.events._set_running_loop(None)  # noqa: SLF001 - as after a fork inside a callback
            with contextlib.suppress(BaseException):
                os._exit(0 if asyncio.run(once()) else 1)
            os._exit(2)
        status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status[1]) == 0
        assert not [call for call in proxy.sent[sent:] if call.connection in before]
        assert set(before) <= proxy.open_connections
        async with redis.asyncio.Redis.from_url(servers["valkey"].url) as raw:
            assert await registry.get("p") is not None

            async def is_heard() -> bool:
                return bool(await raw.publish(channel(namespace, 0, "me"), "x"))

            await wait_until(is_heard, "the listener hears")  # on a busy machine it may just have subscribed anew
            await delete_namespace(raw, namespace)
        await _ended(listener)
        await registry.aclose()

    asyncio.run(run())


def test_a_child_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held(proxy: Proxy, namespace: str) -> None:
    """A thread was opening the namespace when the OS process was forked; there is no such thread in the child."""
    registry = ProcessRegistry(proxy.url, namespace, timeout_s=5)
    blocking = BlockingRegistry(registry)
    held = proxy.hold("INFO", before=False)
    opening = threading.Thread(target=blocking.open, daemon=True)
    opening.start()
    block_until(lambda: held.struck, "the parent is opening")

    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            signal.alarm(10)
            blocking.open()
            os._exit(0)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    held.end()
    opening.join(5)
    blocking.close()


async def _ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
