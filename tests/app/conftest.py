"""Fixtures for tests of the public classes: a ``Lash`` on each backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lash_redis.app.lash import Lash
from tests.conftest import Backend
from tests.soundness import assert_sound


@pytest.fixture
async def lash(backend: Backend, client: Any, namespace: str) -> AsyncIterator[Lash]:
    """Return a Lash with a namespace of its own; check after the test that the namespace is sound."""
    made = Lash(client, namespace, 2)
    yield made
    await made.aclose()
    await assert_sound(client, namespace)
