"""``lash-redis pause`` and ``resume`` as an operator runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lash_redis.registry.calls import pausing
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import call_of, work
from tests.conformance.test_pausing import WHY
from tests.repo.tree import ROOT

pytestmark = pytest.mark.system

Cli = Callable[..., str]


@pytest.fixture
async def registry(url: str, namespace: str) -> Any:
    """Return a registry with eight partitions, and mails in many of them."""
    registry = ProcessRegistry(url, namespace, 8)
    await registry.register_many([work(f"p{number}", queue="mail") for number in range(20)])
    yield registry
    await registry.aclose()


@pytest.fixture
def cli(url: str, namespace: str) -> Cli:
    """Return a function that runs a command on the test's namespace, and returns what it prints."""

    def run(*argv: str) -> str:
        command = [sys.executable, "-m", "lash_redis", *argv, "--namespace", namespace, "--url", url]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    return run


async def test_an_operator_pauses_and_resumes(cli: Cli, registry: ProcessRegistry) -> None:
    """The answer says which pause stands, how to end it, and that nothing is known of a misspelt name."""
    asked = ("--by", "ada", "--reason", "the provider is down")
    ends = "lash-redis resume --queue mail ends it"
    assert cli("pause", "--queue", "mail", *asked) == (f"queue 'mail' is paused by ada: the provider is down; {ends}")
    assert cli("pause", "--queue", "mail", "--by", "bob") == (
        f"queue 'mail' is paused by ada: the provider is down (an earlier pause stands); {ends}"
    )
    assert "mind: " in cli("pause", "--task", "wrok")
    assert "lash-redis resume --task 'f.<locals>.g' ends it" in cli("pause", "--task", "f.<locals>.g")
    told = json.loads(cli("pause", "--task", "work", "--json"))
    assert (told["task"], told["partitions"], told["of"]) == ("work", 8, 8)
    assert cli("resume", "--queue", "mail") == (
        "queue 'mail' begins again; queue 'mail' was paused by ada: the provider is down"
    )
    assert cli("resume", "--queue", "mail") == "queue 'mail' was not paused"


async def test_an_operator_sees_and_completes_half_a_pause(cli: Cli, registry: ProcessRegistry) -> None:
    """What was sent before its caller died."""
    await registry.sender.send(call_of(registry, pausing.pause, WHY, queue="mail"))

    assert "only in 1 of 8 partitions: pause or resume it again" in cli("ps")
    assert cli("pause", "--queue", "mail", "--by", "bob").startswith(
        "queue 'mail' is paused by ada: the provider is down (an earlier pause stands); "
    )
    assert "only in" not in cli("ps")
