"""What is refused is shown bounded, and nothing of it breaks its own refusal (rule 11.7)."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
from collections.abc import Callable
from typing import Any

import fakeredis
import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.checks import checked_id, checked_int, checked_text
from lash_redis.core.error_text import MAX_SHOWN, shown
from lash_redis.core.errors import LashError, PayloadError, SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    AbandonRequest,
    Phase,
    ProcessRegistration,
    ProcessStatus,
    TaskInput,
    disposition_named,
)
from lash_redis.core.outcomes import Success
from lash_redis.pool.settings import PoolSettings
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.worker import Worker


class Unshown:
    """Its ``repr`` raises."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


class Zone(dt.tzinfo):
    """A zone whose offset depends on the date, and which cannot be shown."""

    def _nothing(self, _at: dt.datetime | None) -> None: ...

    utcoffset = dst = tzname = _nothing
    __repr__ = Unshown.__repr__


def nested(depth: int) -> list[Any]:
    """Return a list that is too deep to be shown."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def with_surrogate() -> object:
    """Return an object whose ``repr`` no UTF-8 can hold."""
    return type("Odd", (), {"__repr__": lambda _: "\udc80"})()


HOSTILE: dict[str, Callable[[], Any]] = {
    "raises": Unshown,
    "deep": lambda: nested(5_000),
    "long": lambda: "é|" * 1_000_000,
    "bytes": lambda: b"\x00" * 2_000_000,
    "huge": lambda: 10**5_000,
    "surrogate": with_surrogate,
}

LASH: Any = Lash(fakeredis.FakeAsyncRedis())  # Any: a type checker refuses what is tried here
REGISTRY: Any = LASH.registry
PROCESS_REGISTRY: Any = ProcessRegistry
WORKER: Any = Worker
LEASE_OWNER: Any = LeaseOwner


async def double(number: int) -> int:
    """Return twice the argument."""
    return 2 * number


work = LASH.task(recovery="rerunnable", name="work")(double)


def read(call: Any) -> Any:
    """Await what only an awaited call checks."""

    async def awaited() -> Any:
        return await call if inspect.isawaitable(call) else call

    return asyncio.run(awaited())


DOORS: dict[str, Callable[[Any], Any]] = {
    "id": lambda value: checked_id("process_id", value),
    "integer": lambda value: checked_int("partitions", value, at_least=1, at_most=9),
    "text": lambda value: checked_text("reason", value, 9),
    "recovery": disposition_named,
    "task": lambda value: LASH.task(recovery=value)(lambda: None),
    "bare task": LASH.task,
    "no function": LASH.task(recovery="rerunnable"),
    "submit_many": lambda value: work.blocking.submit_many([value] if not isinstance(value, list) else value[0]),
    "outcome's timeout": lambda value: read(
        LASH.process("p").outcome(timeout=[value] if isinstance(value, int) else value)
    ),
    "outcome's on_uncertain": lambda value: read(LASH.process("p").outcome(on_uncertain=value)),
    "by": lambda value: read(LASH.process("p").request_cancel(by=value)),
    "request": lambda value: AbandonRequest(value, 1),
    "registry": WORKER,
    "owner": lambda value: WORKER(REGISTRY, owner=value),
    "tasks": lambda value: WORKER(REGISTRY, tasks=[value]),
    "queues": lambda value: WORKER(REGISTRY, queues=[[value]]),
    "concurrency": lambda value: WORKER(REGISTRY, concurrency=value),
    "signals": lambda value: read(WORKER(REGISTRY).run(signals=value)),
    "signals of one drive": lambda value: read(WORKER(REGISTRY).drive_pending(signals=value)),
    "allow_unsafe_server": lambda value: Lash(allow_unsafe_server=value),
    "timeout_s": lambda value: PROCESS_REGISTRY("redis://h", timeout_s=[value]),
    "namespace": lambda value: Lash(namespace=value),
    "target": lambda value: PoolSettings(target=value),
    "cursor": lambda value: read(REGISTRY.list_by_phase([Phase.QUEUED], 9, value)),
    "cursor of ended": lambda value: read(REGISTRY.list_ended(ProcessStatus.FAILED, 9, value)),
    "prune": lambda value: read(REGISTRY.prune(value, older_than_ms=value)),
    "field of a struct": lambda value: LEASE_OWNER(value, "i", None),
    "input": lambda value: read(REGISTRY.register(ProcessRegistration("p", value, disposition_named("rerunnable")))),
    "outcome": REGISTRY.encoded,
    "result": lambda value: REGISTRY.encoded(Success([value, Unshown()])),
    "argument": lambda value: work.blocking.submit([value]),
    "zone": lambda value: work.blocking.submit(dt.time(1, tzinfo=Zone())),
    "plain input": lambda value: read(
        REGISTRY.register(
            ProcessRegistration("p", TaskInput("work", (Unshown(),), {}), disposition_named("rerunnable"))
        )
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("door", DOORS)
def test_a_value_that_cannot_be_shown_is_refused_all_the_same(door: str, kind: str) -> None:
    """Every door says in a bounded text what it expected, whatever was handed to it."""
    with pytest.raises((SettingsError, PayloadError)) as refused:
        DOORS[door](HOSTILE[kind]())
    assert len(str(refused.value).encode()) < 2_000
    assert isinstance(refused.value, LashError)


def test_a_value_is_shown_as_python_shows_it() -> None:
    """As far as 100 characters hold it."""
    assert shown({"one": 1}) == "{'one': 1}"
    assert shown("x" * 98) == repr("x" * 98)
    assert shown("x" * 99) == f"'{'x' * 99}…"
    assert len(shown(["x"] * 1_000_000)) == MAX_SHOWN + 1
    assert shown(10**5_000) == "a int that cannot be shown (ValueError)"
