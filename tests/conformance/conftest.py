"""After every test the namespace must be sound."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.soundness import assert_sound


@pytest.fixture(autouse=True)
def leaves_it_sound(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the whole keyspace after each test that has one."""
    if "client" not in request.fixturenames:
        yield
        return
    client = request.getfixturevalue("client")
    yield
    runner = request.getfixturevalue("event_loop_runner")
    runner.run(assert_sound(client, request.getfixturevalue("namespace")))
