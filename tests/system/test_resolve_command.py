"""``lash-redis resolve`` as an operator runs it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lash_redis import Lash, LeaseOwner, StarterAlive
from lash_redis.core.liveness import node_name
from lash_redis.core.outcomes import AbandonWriter
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, abandon, abandoned, held, local_owner, outside, settled, work
from tests.repo.tree import ROOT
from tests.system.conftest import Ran

pytestmark = pytest.mark.system


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
def lash(url: str, namespace: str) -> Lash:
    """Return what a program has for the test's namespace."""
    return Lash(url, namespace)


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
    assert found[1]["refused"].startswith("process 'open' is outside: only an abandoned one is resolved")
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


SAY_WHO = """
import sys, msgspec
from lash_redis.core.liveness import LeaseOwner
print(msgspec.json.encode(LeaseOwner.local_process("teller", "teller-1")).decode(), flush=True)
sys.stdin.read()
"""


def a_teller() -> subprocess.Popen[bytes]:
    """Start an OS process that says which owner it is, and lives until it is killed."""
    command = [sys.executable, "-c", SAY_WHO]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)


async def given_up(registry: ProcessRegistry, starter: LeaseOwner, *process_ids: str) -> None:
    """Have owner-bound work started by an owner that falls silent, and have it abandoned by request."""
    for process_id in process_ids:
        await registry.register(work(process_id, OWNER_BOUND))
        lease = await held(registry, process_id, starter)
        await registry.start(lease)
        await registry.release(lease)
        await registry.request_abandon(process_id, abandon())
        fact = abandoned(AbandonWriter.RECONCILED_REQUEST, starter)
        assert await settled(registry, process_id, "fact", fact)


async def test_what_a_living_starter_may_still_do_is_not_done_again(
    cli: Callable[..., Ran], registry: ProcessRegistry, lash: Lash
) -> None:
    """Abandoned by request, and its starter lives: it is refused but by force, until that OS process has ended."""
    with a_teller() as teller:
        assert teller.stdout is not None
        starter = msgspec.json.decode(teller.stdout.readline(), type=LeaseOwner)
        await given_up(registry, starter, "a", "b", "c", "d", "e")
        who = ("--by", "ada", "--reason", "node lost")

        shown, as_json = cli("show", "a").stdout, json.loads(cli("show", "a", "--json").stdout)
        assert f"alive: pid {teller.pid} of this machine is that very OS process" in shown
        assert "it may still do the work: end that OS process, or wait until it has ended" in shown
        assert (as_json["starter"]["life"], as_json["may_still_be_done"]) == ("alive", True)
        for kind in ("did_not_happen", "accepted"):
            told = cli("resolve", "a", "--as", kind, *who)
            assert told.returncode == 1, told.stdout
            assert f"its starter teller is alive (pid {teller.pid} of {node_name()})" in told.stdout + told.stderr
            assert "--force" in told.stdout + told.stderr
            handle = lash.process("a")
            with pytest.raises(StarterAlive, match=f"pid {teller.pid}"):
                await handle.resolve(kind, by="ada")
            with pytest.raises(StarterAlive, match=f"pid {teller.pid}"):
                await asyncio.to_thread(handle.blocking.resolve, kind, by="ada")
        assert cli("resolve", "a", "--as", "happened", *who).returncode == 0  # nothing is done again
        assert cli("resolve", "b", "--as", "did_not_happen", *who, "--force").returncode == 0
        assert (await lash.process("c").resolve("accepted", by="ada", force=True)).resolution is not None

        told = cli("replay", "b")
        assert (told.returncode, f"pid {teller.pid} of {node_name()}" in told.stderr) == (1, True), told.stderr
        many = cli("replay", "--state", "abandoned", "--yes")
        assert "0 processes: nothing to do" in many.stdout
        assert "left out: 2 (its starter teller is alive" in many.stdout
        assert (await lash.replay_many("abandoned", only_count=True)).found == 0
        assert (await lash.replay_many("abandoned", only_count=True, force=True)).found == 2
        assert "submitted as" in cli("replay", "b", "--force").stdout

        teller.kill()
        teller.wait()
        assert "dead: its pid is gone from this machine" in cli("show", "d").stdout
        assert cli("resolve", "d", "--as", "did_not_happen", *who).returncode == 0
        assert "submitted as" in cli("replay", "c", "d").stdout


async def test_a_starter_that_saw_its_work_end_does_not_do_it_any_more(
    cli: Callable[..., Ran], registry: ProcessRegistry
) -> None:
    """Its worker lives on, and says itself that the work has ended: nothing is refused."""
    starter = local_owner()
    await registry.register(work("seen", OWNER_BOUND))
    await registry.start(await held(registry, "seen", starter))
    evidence = abandoned(AbandonWriter.OWNER_DRAIN, starter, "ended_here")
    assert await settled(registry, "seen", "fact", evidence, even_if_live=True)

    told = cli("resolve", "seen", "--as", "did_not_happen", "--by", "ada", "--reason", "no trace of it")

    assert told.returncode == 0, told.stdout
    assert "submitted as" in cli("replay", "seen").stdout
