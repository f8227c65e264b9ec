"""The methods that a registry makes of operations, and the coroutines that code without an event loop runs."""

from __future__ import annotations

import asyncio
import inspect

import fakeredis
import pytest

from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Acquired, ProcessRegistration, RecoveryDisposition, TaskInput
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.calls import requests
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.finishing import finished
from lash_redis.registry.transport.server import ServerInfo

OFFERED_BY_BOTH = sorted({name for name in vars(BlockingRegistry) if name[0] != "_"} - {"open", "close", "begin"})


def test_a_method_is_a_coroutine_function_with_the_words_of_its_operation() -> None:
    """Tools that ask, and people who read, see the operation without its namespace."""
    method = ProcessRegistry.request_abandon

    assert inspect.iscoroutinefunction(method)
    assert (method.__name__, method.__doc__) == ("request_abandon", requests.request_abandon.__doc__)
    assert str(inspect.signature(method)) == (
        "(self, /, process_id: 'str', request: 'AbandonRequest') -> 'ProcessRecord'"
    )


@pytest.mark.parametrize("name", OFFERED_BY_BOTH)
def test_a_blocking_method_is_the_same_operation(name: str) -> None:
    """It differs in that it blocks."""
    method, blocking = getattr(ProcessRegistry, name), getattr(BlockingRegistry, name)

    assert (inspect.iscoroutinefunction(method), inspect.iscoroutinefunction(blocking)) == (True, False)
    assert blocking.__wrapped__ is method.__wrapped__
    assert inspect.signature(blocking) == inspect.signature(method)


def test_a_coroutine_that_suspends_is_no_work_for_code_without_an_event_loop() -> None:
    """It is a bug of ours, which must not hang."""
    with pytest.raises(AssertionError, match="suspended"):
        finished(asyncio.sleep(0))


def test_ctrl_c_while_a_blocking_registry_opens_leaves_it_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock around opening is free again, whatever ended the attempt."""
    blocking = BlockingRegistry(ProcessRegistry(fakeredis.FakeAsyncRedis()))
    attempts: list[None] = []
    opened = blocking.sender.open

    async def interrupted() -> ServerInfo:
        attempts.append(None)
        if len(attempts) == 1:
            raise KeyboardInterrupt
        return await opened()

    monkeypatch.setattr(blocking.sender, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        blocking.get("p")
    assert blocking.get("p") is None
    blocking.close()


async def test_what_is_iterated_once_is_sent_as_a_list_would_be() -> None:
    """A generator of leases is released and answered."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis())
    await registry.register(ProcessRegistration("p", TaskInput("work"), RecoveryDisposition.RERUNNABLE))
    claimed = await registry.claim("p", LeaseOwner.opaque("ada", "ada-1"), 60_000)
    assert isinstance(claimed, Acquired)
    assert await registry.release_many(lease for lease in [claimed.lease]) == [True]  # type: ignore[arg-type]
    await registry.aclose()
