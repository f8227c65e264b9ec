"""Fixtures for tests of the app's door: a ``Lash`` on each backend, and tasks of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lash_redis.app.lash import Lash
from tests.conftest import Backend
from tests.soundness import assert_sound


@pytest.fixture
async def lash(backend: Backend, client: Any, namespace: str) -> AsyncIterator[Lash]:
    """Return a Lash in a namespace of its own, which must be sound at the end."""
    made = Lash(client, namespace, 2)
    yield made
    await made.aclose()
    await assert_sound(client, namespace)
