"""After every test the namespace must be sound. A subscriber hears what a test makes the scripts publish."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.conformance.subscriber import Subscriber
from tests.servers import KINDS, Server
from tests.soundness import assert_sound


@pytest.fixture(autouse=True)
def leaves_it_sound(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the whole keyspace after each test that has one."""
    if "client" not in request.fixturenames:
        yield
        return
    runner, client, namespace = (request.getfixturevalue(name) for name in ("event_loop_runner", "client", "namespace"))
    yield
    runner.run(assert_sound(client, namespace))
    runner.run(_assert_no_stray_key(client))


async def _assert_no_stray_key(client: Any) -> None:
    """Every key that a script writes lies under a partition's prefix, whatever the namespace."""
    stray = [key async for key in client.scan_iter(count=1000) if not key.startswith(b"{lash:")]
    assert stray == []


@pytest.fixture
async def subscriber(backend: Any, client: Any, namespace: str) -> AsyncIterator[Subscriber]:
    """Return a subscriber."""
    made = Subscriber(backend, namespace)
    yield made
    await made.aclose()


@pytest.fixture(params=KINDS)
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Own a server that one test may mistreat."""
    with Server(request.param) as running:
        yield running


@pytest.fixture
def prefix(namespace: str) -> str:
    """Return the prefix of the keys of partition 0."""
    return f"{{lash:{namespace}:0}}"
