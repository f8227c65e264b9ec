"""The operator's commands as an operator runs them: OS processes on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import CancelRequest
from lash_redis.core.outcomes import AbandonWriter, Failure, Success
from lash_redis.core.policies import Policy
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import Death
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    batch_claim,
    begun,
    begun_and_lapsed,
    dead_owner,
    held,
    outside,
    settled,
    work,
)
from tests.conftest import Backend, ServerTime
from tests.look import record_of
from tests.repo.tree import ROOT
from tests.servers import Server
from tests.support import wait_until

pytestmark = pytest.mark.system

Ran = subprocess.CompletedProcess[str]
Cli = Callable[..., Ran]


@pytest.fixture
async def registry(url: str, namespace: str) -> Any:
    """Return a registry with two partitions."""
    registry = ProcessRegistry(url, namespace, 2)
    await registry.open()
    yield registry
    await registry.aclose()


@pytest.fixture
async def server(url: str) -> Any:
    """Return the server's time."""
    async with redis.asyncio.Redis.from_url(url) as client:
        yield ServerTime(Backend("valkey", url), client)


@pytest.fixture
def cli(url: str, namespace: str) -> Cli:
    """Return a function that runs a command on the test's namespace."""

    def run(*argv: str, **environment: str) -> Ran:
        variables = os.environ | {"PYTHONPATH": str(ROOT), "LASH_REDIS_URL": url} | environment
        command = [sys.executable, "-m", "lash_redis", *argv, "--namespace", namespace]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)

    return run


def output(ran: Ran) -> str:
    """Return the output of a command that must have succeeded."""
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


async def test_ps_counts_and_lists(cli: Cli, registry: ProcessRegistry) -> None:
    """Counts are sums over the partitions. Uncertain processes have a line of their own and come first in the list."""
    for process_id in ("u1", "u2", "u3"):
        await registry.register(work(process_id, OWNER_BOUND))
        await registry.release(await begun(registry, process_id, ADA))
    await registry.register(work("run", RERUNNABLE))
    await begun(registry, "run", BOB)
    await registry.register(work("held", RERUNNABLE))
    await held(registry, "held", BOB)
    await registry.register(outside("approval", granted_to="desk"))
    for number in range(20):
        await registry.register(work(f"q{number}", RERUNNABLE, task="later"))
    await registry.register(work("bad", RERUNNABLE))
    await registry.complete(await begun(registry, "bad", BOB), Failure("ValueError", "no"))

    lines = output(cli("ps", "--limit", "4")).splitlines()
    found = json.loads(output(cli("ps", "--json", "--limit", "500")))

    assert "2 partitions" in lines[0]
    assert lines[1] == "workers: 2 called within the last minute (queues default)"
    assert lines[3].startswith("3 uncertain")
    listed = lines[next(at for at, line in enumerate(lines) if line.startswith("ID ")) + 1 :]
    assert {line.split()[0] for line in listed[:3]} == {"u1", "u2", "u3"}
    assert "--cursor" in lines[-1]
    assert {phase: number for phase, number in found["phases"].items() if number} == {
        "uncertain": 3, "started": 1, "held": 1, "outside": 1, "queued": 20,
    }  # fmt: skip
    assert found["states"] == {"completed": 0, "failed": 1, "cancelled": 0, "abandoned": 0}
    assert {each["phase"] for each in found["processes"][:3]} == {"uncertain"}
    assert len(found["processes"]) == 26
    assert found["cursor"] is None


async def test_ps_looks_at_a_server_that_evicts(cli: Cli, namespace: str) -> None:
    """Its policy was changed under the pool; ``ps`` says so instead of refusing to look."""
    with Server("valkey") as server:
        made = ProcessRegistry(server.url, namespace)
        await made.register(work("q"))
        await made.aclose()
        async with redis.asyncio.Redis.from_url(server.url) as raw:
            await raw.config_set("maxmemory-policy", "allkeys-lru")

        text = output(cli("ps", LASH_REDIS_URL=server.url))
        found = json.loads(output(cli("ps", "--json", LASH_REDIS_URL=server.url)))

    assert "maxmemory-policy: allkeys-lru" in text.splitlines()[1]
    assert found["server"]["maxmemory_policy"] == "allkeys-lru"
    assert found["phases"]["queued"] == 1


async def test_a_page_begins_where_the_last_one_ended(cli: Cli, registry: ProcessRegistry) -> None:
    """A cursor is one word that needs no quotes in a shell."""
    for number in range(5):
        await registry.register(work(f"q{number}", RERUNNABLE))
    ids, cursor = [], None
    while True:
        page = json.loads(output(cli("ps", "--json", "--limit", "2", *(["--cursor", cursor] if cursor else []))))
        ids += [each["id"] for each in page["processes"]]
        if (cursor := page["cursor"]) is None:
            break
        assert cursor.replace("-", "").replace("_", "").isalnum()

    assert sorted(ids) == [f"q{number}" for number in range(5)]


@pytest.mark.parametrize("how", ["proven here", "recorded"])
async def test_show_has_the_proof_that_a_starter_is_dead(how: str, cli: Cli, registry: ProcessRegistry) -> None:
    """A recorded death counts everywhere, a death that this machine can prove counts here. Both lead to line 6."""
    starter = dead_owner() if how == "proven here" else BOB
    await registry.register(work("p", OWNER_BOUND, "o-17"))
    await begun(registry, "p", starter)
    if how == "recorded":
        await registry.record_death(BOB, Death("killed by SIGKILL", "rack-7/supervisor"))

    shown = json.loads(output(cli("show", "p", "--json")))

    assert shown["verdict"]["line"] == 6
    assert shown["verdict"]["action"] == "abandon"
    assert shown["process"]["lease"]["live"]
    assert shown["process"]["args"] == ["o-17"]
    assert shown["starter"]["life"] == "dead"
    assert shown["starter"]["proof"]["kind"] == ("replaced" if how == "proven here" else "reaped")
    assert "line 6" in output(cli("show", "p"))


async def test_show_says_that_a_starter_is_alive(cli: Cli, registry: ProcessRegistry) -> None:
    """It changes no verdict, but an operator should know it before abandoning the work."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.release(await begun(registry, "p", LeaseOwner.local_process("here", "here-1")))

    shown = json.loads(output(cli("show", "p", "--json")))
    abandoning = output(cli("abandon", "p", "--by", "ada", "--reason", "in a hurry"))

    assert (shown["verdict"]["line"], shown["starter"]["life"]) == (9, "alive")
    assert "alive" in abandoning


async def test_show_has_the_outcome_of_a_process_that_has_ended(cli: Cli, registry: ProcessRegistry) -> None:
    """It shows line 1 and the whole outcome, without the control characters that a terminal would obey."""
    await registry.register(work("good", RERUNNABLE))
    await registry.complete(await begun(registry, "good", BOB), Success({"answer": 42}))
    await registry.register(work("bad", RERUNNABLE))
    await registry.complete(await begun(registry, "bad", BOB), Failure("ValueError", "\x1b[31mno", "Traceback\n  here"))

    good = json.loads(output(cli("show", "good", "--json")))
    bad = output(cli("show", "bad"))

    assert good["process"]["outcome"] == {"status": "completed", "value": {"answer": 42}}
    assert good["verdict"]["line"] == 1
    assert "ValueError" in bad
    assert "  here" in bad
    assert "\x1b" not in bad


async def test_cancel_ends_a_process_that_nobody_holds_at_once(cli: Cli, registry: ProcessRegistry) -> None:
    """The record has who asked and why. A second cancel is refused, since the process is terminal."""
    await registry.register(work("p", RERUNNABLE))

    answer = json.loads(output(cli("cancel", "p", "--by", "ada", "--reason", "wrong customer", "--json")))
    again = cli("cancel", "p", "--by", "bob", "--reason", "me too")
    record = await record_of(registry, "p")

    assert answer["recorded"]
    assert answer["process"]["status"] == "cancelled"
    assert answer["process"]["outcome"] == {"status": "cancelled", "reason": "wrong customer"}
    assert record.cancel_request is not None
    assert record.cancel_request.requested_by == "ada"
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "lash-redis: process 'p' is terminal already: cancelled\n"


async def test_cancel_does_not_claim_to_settle_uncertainty(cli: Cli, registry: ProcessRegistry) -> None:
    """For uncertain work it names ``abandon``. For held work it says that the holder gets the request."""
    await registry.register(work("lost", OWNER_BOUND))
    await registry.release(await begun(registry, "lost", ADA))
    await registry.register(work("runs", RERUNNABLE))
    await begun(registry, "runs", ADA)

    says = "a cancel settles no uncertainty: lash-redis abandon says that you accept it"
    assert says in output(cli("cancel", "lost", "--by", "ada", "--reason", "late"))
    assert says in output(cli("cancel", "lost", "--by", "ada", "--reason", "late", "--json"))
    assert "ada holds it and is told" in output(cli("cancel", "runs", "--by", "ada", "--reason", "late"))


async def test_an_abandoned_process_is_settled_by_the_next_sweep(cli: Cli, registry: ProcessRegistry) -> None:
    """The command records a permission, on which a sweep acts. The evidence names who asked, and the starter."""
    await registry.register(work("p", OWNER_BOUND))
    await registry.release(await begun(registry, "p", ADA))

    answer = output(cli("abandon", "p", "--by", "ada", "--reason", "node lost"))
    before = await record_of(registry, "p")
    waiting = output(cli("ps"))
    await Sweep(registry, BOB).run_once()
    shown = json.loads(output(cli("show", "p", "--json")))

    assert "the next sweep writes abandoned" in answer
    assert not before.is_terminal
    assert "1 with an abandon request" in waiting
    evidence = shown["process"]["outcome"]["evidence"]
    assert (evidence["writer"], evidence["owner"]["owner_id"]) == ("reconciled_request", "ada")
    assert evidence["detail"] == "by ada: node lost"


async def test_an_abandon_request_on_a_live_lease_waits(cli: Cli, registry: ProcessRegistry) -> None:
    """The holder gets it as a cancel. A second request changes nothing, and its answer shows the first one."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ADA)

    first = output(cli("abandon", "p", "--by", "ada", "--reason", "stuck"))
    second = json.loads(output(cli("abandon", "p", "--by", "bob", "--reason", "me too", "--json")))

    assert "asked to stop" in first
    assert "once the lease has ended" in first
    assert not second["recorded"]
    assert (second["request"]["requested_by"], second["request"]["reason"]) == ("ada", "stuck")
    assert second["verdict"]["line"] == 4


async def test_abandoning_rerunnable_work_is_refused(cli: Cli, registry: ProcessRegistry) -> None:
    """The error names ``cancel`` instead."""
    await registry.register(work("p", RERUNNABLE))

    refused = cli("abandon", "p", "--by", "ada", "--reason", "why")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "cancel it instead" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_command_creates_no_namespace(registry: ProcessRegistry, url: str) -> None:
    """A typing error must not create one."""
    elsewhere = f"{registry.namespace}-typo"
    command = [sys.executable, "-m", "lash_redis", "ps", "--namespace", elsewhere]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LASH_REDIS_URL": url}

    for _ in range(2):
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

        assert (ran.returncode, ran.stdout) == (1, "")
        assert elsewhere in ran.stderr


async def test_a_closed_output_is_no_error(registry: ProcessRegistry, url: str) -> None:
    """``ps | head -1`` ends without a message on standard error."""
    for number in range(500):
        await registry.register(work(f"{number:03}-{'x' * 200}", RERUNNABLE))
    script = f'"{sys.executable}" -m lash_redis ps --limit 500 --namespace {registry.namespace} | head -1'

    ran = await _shell(script, url)

    assert ran == (0, f"namespace {registry.namespace}", "")


async def _shell(script: str, url: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_shell(
        script,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LASH_REDIS_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode().split(" ·")[0], err.decode()


def test_without_a_url_a_command_uses_the_embedded_server(tmp_path: Path) -> None:
    """It shows what a program has left there, and does not keep the server running."""
    here = {"LASH_REDIS_DATA": str(tmp_path / "data")}
    program = (
        "from lash_redis import Lash\n"
        "with Lash(namespace='embedded').blocking as lash:\n"
        "    lash.expect('approval:1', grantee='desk')\n"
    )
    environment = os.environ | here | {"PYTHONPATH": str(ROOT)}
    environment.pop("LASH_REDIS_URL", None)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)

    command = [sys.executable, "-m", "lash_redis", "ps", "--namespace", "embedded", "--json"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)

    assert [each["id"] for each in json.loads(shown.stdout)["processes"]] == ["approval:1"]


async def test_ps_says_that_nobody_sweeps(cli: Cli, registry: ProcessRegistry) -> None:
    """Without a worker no lapsed lease becomes uncertain. The number of lapsed leases has a line of its own."""
    await registry.register(work("a", OWNER_BOUND))
    await begun(registry, "a", ADA, 1)

    async def has_lapsed() -> bool:
        return await registry.lease("a") is None

    await wait_until(has_lapsed, "the lease has lapsed")
    assert "1 with a lapsed lease that no sweep has seen" in output(cli("ps"))
    assert json.loads(output(cli("ps", "--json")))["lapsed"] == 1


async def test_ps_lists_what_ended_in_one_state(cli: Cli, registry: ProcessRegistry) -> None:
    """The latest first, with the next command for the next page. What ended in one ms stands by its id."""
    for name in ("a", "b", "c"):
        await registry.register(work(name))
        await registry.complete(await begun(registry, name, BOB), Failure("ValueError", name))
    await registry.register(work("fine"))
    await registry.complete(await begun(registry, "fine", BOB), Success())

    lines = output(cli("ps", "--state", "failed", "--limit", "2")).splitlines()
    found = json.loads(output(cli("ps", "--state", "failed", "--json")))

    listed = lines[next(at for at, line in enumerate(lines) if line.startswith("ID ")) :]
    assert "STATE" in listed[0]
    assert "ENDED" in listed[0]
    assert [line.split()[:2] for line in listed[1:3]] == [["c", "failed"], ["b", "failed"]]
    assert lines[-1].startswith("more: --limit 2 --state failed --cursor ")
    rest = output(cli("ps", *lines[-1].removeprefix("more: ").split())).splitlines()
    assert rest[-1].split()[:2] == ["a", "failed"]
    assert [each["id"] for each in found["processes"]] == ["c", "b", "a"]


async def test_ps_says_which_namespace_on_which_server_it_shows(
    cli: Cli, registry: ProcessRegistry, url: str, namespace: str
) -> None:
    """An empty list may be that of another namespace than the program's."""
    first = output(cli("ps")).splitlines()[0]
    found = json.loads(output(cli("ps", "--json")))

    assert first.startswith(f"namespace {namespace} · on {registry.address.shown} · ")
    assert (found["namespace"], found["address"]) == (namespace, registry.address.shown)


async def test_queued_work_that_nobody_serves_is_shown_as_such(cli: Cli, registry: ProcessRegistry) -> None:
    """By ``ps``, and by ``show`` with what is near."""
    await registry.register(work("p", task="tasks.add"))
    nobody = output(cli("show", "p"))
    for partition in range(registry.partitions):
        served = [("default", ["default|app.tasks.add|"])]
        await registry.claim_next(batch_claim(registry, ADA, count=0, partition=partition, served=served))

    shown, listed = output(cli("show", "p")), output(cli("ps"))
    found = json.loads(output(cli("show", "p", "--json")))

    why = "no worker that called within the last minute declares it; some declare 'app.tasks.add'"
    assert "no worker seems to run: none has called Redis within the last minute" in nobody
    assert why in shown
    assert "run workers of the release that submitted it" in shown
    assert "or give it up: lash-redis cancel p --by … --reason …" in shown
    assert "no worker that called within the last minute declares it in queue 'default'" in listed
    assert found["process"]["waits"] == why


async def test_work_that_waits_for_its_limit_is_told_of_the_limit_alone(cli: Cli, registry: ProcessRegistry) -> None:
    """Workers of another release would not help it."""
    for partition in range(registry.partitions):
        await registry.name_policies(partition, [Policy("mail", keyed=False, limit=2)])
        served = [("default", [lane("default", "work", "", ",mail")])]
        await registry.claim_next(batch_claim(registry, ADA, count=0, partition=partition, served=served))
    await registry.register_many([work(f"r::{n}", key="", scopes=",mail") for n in range(2)])
    await held(registry, "r::0", ADA)  # one slot in each partition

    shown = output(cli("show", "r::1"))

    assert re.search(r"waits +it waits for limit 'mail'\n", shown)
    assert "run workers" not in shown


async def test_what_runs_alone_is_marked(cli: Cli, registry: ProcessRegistry, server: ServerTime) -> None:
    """It has lost two owners, and waits for a worker that runs no other such process."""
    await registry.register(work("p"))
    for _ in range(2):
        await begun_and_lapsed(registry, server, "p", ADA)
        await Sweep(registry, BOB).run_once()

    assert "2 of 5 losses, runs alone" in output(cli("ps"))
    assert "runs alone" in output(cli("show", "p"))
    assert json.loads(output(cli("ps", "--json")))["processes"][0]["runs_alone"]


async def test_prune_forgets_what_ended_long_ago(cli: Cli, registry: ProcessRegistry) -> None:
    """It says how many; what has not ended stays."""
    await registry.register_many([work("p"), work("q"), work("stays")])
    for name in ("p", "q"):
        await registry.request_cancel(name, CancelRequest("ops", 1))

    none = output(cli("prune", "--older-than", "1d"))
    counted = output(cli("prune", "--before", "2100-01-01", "--dry-run"))
    two = json.loads(output(cli("prune", "--before", "2100-01-01", "--json")))

    assert none == f"forgot 0 processes of namespace {registry.namespace}\n"
    assert counted == f"would forget 2 processes of namespace {registry.namespace}\n"
    assert two == {"processes": 2, "forgotten": True, "accepted": 0, "unresolved": 0}
    assert await registry.get("stays") is not None


async def test_prune_forgets_what_nobody_has_resolved_only_if_somebody_accepts_that(
    cli: Cli, registry: ProcessRegistry
) -> None:
    """It says how many it leaves, and what to do; the row says who accepted it and why, for as long as it is there."""
    await registry.register(outside("lost"))
    await registry.request_abandon("lost", abandon())
    assert await settled(registry, "lost", "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, None))
    prune = ("prune", "--before", "2100-01-01")
    accepting = ("--unresolved", "--by", "ada", "--reason", "the books are closed")

    left = output(cli(*prune))
    counted = output(cli(*prune, *accepting, "--dry-run"))
    still = await registry.get("lost")
    gone = cli(*prune, *accepting)

    assert "forgot 0 processes" in left
    assert "1 abandoned process of that time not resolved: not forgotten\n  lash-redis resolve" in left
    assert "would forget 0 processes" in counted
    assert "and 1 abandoned process, which it would resolve as accepted first" in counted
    assert still is not None
    assert still.resolution is None
    assert gone.stderr == 'rows.accepted processes=lost by=ada reason="the books are closed"\n'
    assert gone.stdout.splitlines() == [
        f"forgot 1 process of namespace {registry.namespace}",
        "1 abandoned process resolved as accepted first",
    ]
    assert await registry.get("lost") is None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "--older-than --before is required"),
        (("--older-than", "30"), "a number and s, min, h, d or w, such as 30d, got '30'"),
        (("--before", "yesterday"), "such as 2026-01-31T12:00, got 'yesterday'"),
        (("--older-than", "1d", "--unresolved"), "expected --unresolved with --by and --reason"),
        (("--older-than", "1d", "--by", "ada"), "expected --by and --reason only with --unresolved"),
    ],
)
def test_prune_wants_to_know_what_goes(cli: Cli, argv: tuple[str, ...], words: str) -> None:
    """Nothing is deleted by a short command line."""
    refused = cli("prune", *argv)

    assert refused.returncode == 2
    assert words in refused.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
async def test_an_answer_that_cannot_be_written_is_one_line(registry: ProcessRegistry, url: str) -> None:
    """The disk that standard output lies on is full."""
    script = f'"{sys.executable}" -m lash_redis ps --json --namespace {registry.namespace} > /dev/full'

    code, out, err = await _shell(script, url)

    assert (code, out) == (1, "")
    assert err == "lash-redis: the answer could not be written to standard output: No space left on device\n"
