"""Fixtures for real OS processes: pools that end with their test, and a registry to see what they do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from lash_redis.registry.registry import ProcessRegistry
from tests.repo.tree import ROOT
from tests.servers import Servers
from tests.soundness import assert_sound
from tests.system.limited import Limited
from tests.system.pools import RunningPool, Work

StartPool = Callable[..., RunningPool]
Ran = subprocess.CompletedProcess[str]


@pytest.fixture
def url(servers: Servers) -> str:
    """Return the URL of a real server."""
    return servers["valkey"].url


@pytest.fixture
def start_pool(tmp_path: Path, namespace: str, url: str) -> Iterator[StartPool]:
    """Return a function that starts a pool on the test's namespace; every pool is killed after the test."""
    pools: list[RunningPool] = []

    def start(*options: str, url: str | None = url, **how: Any) -> RunningPool:
        pools.append(RunningPool(tmp_path, namespace, url, *options, **how))
        return pools[-1]

    yield start
    for pool in pools:
        pool.stop()


@pytest.fixture
async def registry(url: str, namespace: str, partitions: int) -> AsyncIterator[ProcessRegistry]:
    """Return a registry of the test's namespace; check after the test that it is sound."""
    registry = ProcessRegistry(url, namespace, partitions)
    await registry.open()
    yield registry
    await registry.aclose()
    async with redis.asyncio.Redis.from_url(url) as client:
        await assert_sound(client, namespace)


@pytest.fixture
def cli(url: str, namespace: str) -> Callable[..., Ran]:
    """Return a function that runs a command on the test's namespace."""

    def run(*argv: str) -> Ran:
        command = [sys.executable, "-m", "lash_redis", *argv, "--namespace", namespace, "--url", url]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    return run


@pytest.fixture
def limited(tmp_path: Path, url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Limited:
    """Return work under limits."""
    monkeypatch.setenv("POOL_NAMESPACE", namespace)
    monkeypatch.setenv("LASH_REDIS_URL", url)
    return Limited(tmp_path, url, monkeypatch)


@pytest.fixture
async def work(url: str, namespace: str) -> AsyncIterator[Work]:
    """Return an object that registers work and reads how it ended."""
    registry = ProcessRegistry(url, namespace=namespace)
    yield Work(registry)
    await registry.aclose()
