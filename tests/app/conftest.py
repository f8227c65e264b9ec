"""Fixtures for tests of the public classes: a ``Lash`` on each backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from lash_redis.app import unserved
from lash_redis.app.lash import Lash
from lash_redis.core.timing import within
from tests.conftest import Backend
from tests.soundness import assert_sound


@pytest.fixture
async def lash(backend: Backend, client: Any, namespace: str) -> AsyncIterator[Lash]:
    """Return a Lash with a namespace of its own; check after the test that the namespace is sound."""
    made = Lash(client, namespace, 2)
    yield made
    await made.aclose()
    await assert_sound(client, namespace)


@pytest.fixture
def patient_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a look for who serves a task last as long as a busy machine needs; a program gives it a second."""

    async def patiently(budget_ms: int, work: Coroutine[Any, Any, Any]) -> Any:
        return await within(100 * budget_ms, work)

    monkeypatch.setattr(unserved, "within", patiently)
