"""``lash-redis resolve`` as an operator runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.core.outcomes import AbandonWriter
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, abandon, abandoned, held, outside, settled, work
from tests.repo.tree import ROOT

pytestmark = pytest.mark.system

Ran = subprocess.CompletedProcess[str]


@pytest.fixture
async def registry(url: str, namespace: str) -> Any:
    """Return a registry with one process that was abandoned, and one that has not ended."""
    registry = ProcessRegistry(url, namespace)
    await registry.register_many([outside("lost"), outside("open")])
    await registry.request_abandon("lost", abandon())
    assert await settled(registry, "lost", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, None))
    yield registry
    await registry.aclose()


@pytest.fixture
def cli(url: str, namespace: str) -> Callable[..., Ran]:
    """Return a function that runs a command on the test's namespace."""

    def run(*argv: str) -> Ran:
        command = [sys.executable, "-m", "lash_redis", *argv, "--namespace", namespace, "--url", url]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    return run


async def test_an_operator_says_what_became_of_abandoned_work(
    cli: Callable[..., Ran], registry: ProcessRegistry
) -> None:
    """``ps`` and ``show`` say that nobody knows, until somebody resolves it; what was refused is said beside it."""
    assert "1 abandoned and unresolved" in cli("ps").stdout
    assert "lash-redis resolve lost --as happened|did_not_happen|accepted" in cli("show", "lost").stdout

    words = ("--as", "happened", "--by", "ada", "--reason", "on the statement", "--value", "7", "--json")
    told = cli("resolve", "lost", "open", *words)

    found = json.loads(told.stdout)["processes"]
    assert told.returncode == 1, told.stderr
    assert [(each["id"], each["recorded"]) for each in found] == [("lost", True), ("open", False)]
    assert found[0]["resolution"] | {"at_ms": 1} == {
        "kind": "happened", "by": "ada", "at_ms": 1, "reason": "on the statement", "value": 7,
    }  # fmt: skip
    assert found[1]["refused"] == "process 'open' is running: only an abandoned one is resolved"
    same = cli("resolve", "lost", *words[:3], "bob", *words[4:-1])
    assert (same.returncode, "an earlier resolution stands, happened, by ada" in same.stdout) == (0, True)
    for otherwise in (("--as", "did_not_happen"), ("--as", "happened", "--value", "8")):
        told = cli("resolve", "lost", *otherwise, "--by", "bob", "--reason", "no trace of it")
        assert (told.returncode, "an earlier resolution stands, happened, by ada" in told.stdout) == (1, True)
    shown = cli("show", "lost").stdout
    assert "happened, says ada: on the statement" in shown
    assert "unresolved" not in cli("ps", "--state", "abandoned").stdout


async def test_whoever_looks_at_a_sequence_is_told_what_halts_it(
    cli: Callable[..., Ran], registry: ProcessRegistry
) -> None:
    """What waits names what it waits for; what was lost says that others wait for it, and how to settle that."""
    scopes = "!work,"
    await registry.register_many([work(name, OWNER_BOUND, key="ada", scopes=scopes) for name in ("first", "second")])
    lease = await held(registry, "first", ADA)
    await registry.start(lease)
    assert "first, the first of its sequence, which is started" in cli("show", "second").stdout
    await registry.release(lease)

    behind, first = cli("show", "second").stdout, cli("show", "first").stdout

    assert "first, the first of its sequence, which is uncertain" in behind
    assert "the sequence halts until somebody says what became of it" in behind
    assert "halted: the work behind it waits. Find out what became of it, then abandon it, then resolve it" in first
