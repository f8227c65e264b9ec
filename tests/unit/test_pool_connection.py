"""The registry of a pool, and the embedded server behind it."""

from __future__ import annotations

import fakeredis
import pytest

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.events import Event, PoolFault, WorkerUnavailable
from lash_redis.core.subscribers import subscribed
from lash_redis.pool import connection
from lash_redis.pool.connection import PoolConnection
from lash_redis.pool.messages import RegistryLocation
from lash_redis.registry.registry import ProcessRegistry
from tests.support import wait_until

LOCATION = RegistryLocation("unix:///nowhere", "lash", 1, embedded="/nowhere")


class Embedded:
    """An embedded server that cannot be started again."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def ensure_answering(self) -> None:
        """Fail."""
        raise self._error

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RegistryUnavailable("open", "gone", maybe_applied=False),
            WorkerUnavailable(operation="revive", reason=str(RegistryUnavailable("open", "gone", maybe_applied=False))),
        ),
        (OSError("no more files"), PoolFault(part="revive", reason="OSError: no more files")),
        (KeyError("state"), PoolFault(part="revive", reason="KeyError: 'state'")),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_embedded_server_that_cannot_be_started_again_is_told_of(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: Event
) -> None:
    """Whatever the reason is: nobody waits for it who could tell."""
    monkeypatch.setattr(connection, "open_embedded", lambda **_: Embedded(error))
    registry, events = ProcessRegistry(fakeredis.FakeAsyncRedis()), list[Event]()
    pool = PoolConnection(lambda _: registry)
    await pool.ensure_open(LOCATION)

    with subscribed(events.append):
        pool.revive_server()
        await wait_until(lambda: events, "it is told of")

    assert events == [told]
    await pool.aclose()
