"""Every kind of answer to every call of a client: a moment later the call has had its effect, once, at both doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Final

import pytest

from lash_redis.app import lash as lash_module
from lash_redis.app.lash import Lash
from lash_redis.app.process import Process
from lash_redis.core.model import AbandonRequest, ExternalOwner
from lash_redis.core.outcomes import Success
from lash_redis.registry.registry import ProcessRegistry
from tests.app.test_waiting import has_waiter
from tests.conftest import Backend
from tests.fault_kinds import FAULT_KINDS, FaultKind
from tests.look import record_of
from tests.proxy import Proxy
from tests.servers import Servers
from tests.support import wait_until

DESK = ExternalOwner("desk")
STRIKES = 2  # a call is sent three times
CALLS: Final = ("register", "watch", "request_cancel", "request_abandon", "complete_unleased", "get")
BEFORE: Final = [kind for kind in FAULT_KINDS if kind.before]
AFTER: Final = [kind for kind in FAULT_KINDS if not kind.before]
CASES: Final = [
    (call, kind)
    for number, call in enumerate(CALLS)
    for kind in (*AFTER[number % 2 :: 2], *BEFORE[number :: len(CALLS)])
]


@pytest.fixture
def backend(servers: Servers) -> Backend:
    """Return one real server: what it answers is the proxy's to say."""
    return Backend("valkey", url=servers["valkey"].url)


@pytest.fixture
def proxy(backend: Backend) -> Iterator[Proxy]:
    """Return a proxy before the server."""
    with Proxy(backend.url) as running:
        yield running


@pytest.fixture
async def far(lash: Lash, proxy: Proxy, namespace: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lash]:
    """Return a ``Lash`` whose calls go through the proxy, with both of its sessions open."""
    await lash.open()
    monkeypatch.setattr(lash_module, "ProcessRegistry", partial(ProcessRegistry, timeout_s=0.3))
    made = Lash(proxy.url, namespace, 2)
    await made.open()
    await asyncio.to_thread(made.blocking.open)
    yield made
    await made.aclose()


class Door:
    """The calls of a client, async or blocking, as coroutines."""

    def __init__(self, lash: Lash, *, blocking: bool) -> None:
        self._lash = lash
        self._blocking = blocking

    async def expect(self, process_id: str) -> Process:
        """Register externally owned work."""
        return await self._made(self._lash.expect, self._lash.blocking.expect, process_id)  # type: ignore[no-any-return]

    async def complete(self, process_id: str) -> None:
        """End it."""
        outcome = Success("done")
        await self._made(self._lash.complete_external, self._lash.blocking.complete_external, process_id, outcome, DESK)

    async def outcome(self, process: Process) -> Any:
        """Wait for its end."""
        return await self._made(process.outcome, process.blocking.outcome, timeout=20)

    async def record(self, process: Process) -> Any:
        """Read it."""
        return await self._made(process.record, process.blocking.record)

    async def cancel(self, process: Process) -> Any:
        """Request its cancellation."""
        return await self._made(process.request_cancel, process.blocking.request_cancel, by="ops", reason="enough")

    async def abandon(self, process: Process) -> Any:
        """Request that it be abandoned."""
        return await self._made(process.request_abandon, process.blocking.request_abandon, by="ops", reason="gone")

    async def _made(self, by_async: Callable[..., Any], by_blocking: Callable[..., Any], *args: Any, **how: Any) -> Any:
        if self._blocking:
            return await asyncio.to_thread(by_blocking, *args, **how)
        return await by_async(*args, **how)


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "blocking"])
@pytest.mark.parametrize(("call", "kind"), CASES, ids=str)
async def test_whatever_a_call_of_a_client_is_answered_it_has_its_effect_once(
    lash: Lash, far: Lash, proxy: Proxy, *, call: str, kind: FaultKind, blocking: bool
) -> None:
    """Registered, requested, waited for and read as if nothing had happened."""
    door = Door(far, blocking=blocking)
    fault = kind.strike(proxy, call, times=STRIKES)
    process = await door.expect("p")
    await door.cancel(process)
    await door.abandon(process)
    record = await door.record(process)
    waiting = asyncio.create_task(door.outcome(process))
    await wait_until(lambda: has_waiter(lash, process), "somebody waits")
    await door.complete("p")
    assert await waiting == Success("done")
    assert fault.struck == STRIKES
    assert record.cancel_request.requested_by == "ops"
    assert isinstance(record.abandon_request, AbandonRequest)
    assert (await record_of(lash.registry, "p")).outcome == Success("done")
