"""``lash-redis limits`` and ``show`` for work under limits, as an operator runs them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable

import pytest

from lash_redis.cli.main import main
from lash_redis.core.lanes import lane
from lash_redis.core.policies import Policy
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import OWNER_BOUND, ids_of
from tests.conformance.test_keyed_lanes import claimed, policy, row

pytestmark = pytest.mark.system

Cli = Callable[..., Awaitable[str]]


@pytest.fixture
def cli(url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return a function that runs a command and returns its output."""
    monkeypatch.setenv("LASH_REDIS_URL", url)

    async def run(*argv: str) -> str:
        assert await asyncio.to_thread(main, [*argv, "--namespace", namespace]) == 0
        return capsys.readouterr().out

    return run


async def test_limits_says_which_keys_have_slots_and_why_they_are_parked(cli: Cli, url: str, namespace: str) -> None:
    """The most loaded first, five of each limit; of a limit that is named, more. What does not hold is said."""
    registry = ProcessRegistry(url, namespace)
    await registry.open()
    assert await cli("limits") == "no task has declared a limit here\n"
    await policy(registry, limit=2, starts=5, window_ms=60_000)
    await registry.name_policies(0, [Policy("=work", keyed=False, limit=9)])
    await registry.register_many([row(f"loud{n}", "loud", "a,") for n in range(4)])
    await registry.register_many([row(f"k{n}", f"k{n}", "a,") for n in range(6)])
    assert len(await claimed(registry, 8)) == 8

    lines = (await cli("limits")).splitlines()
    assert lines == [
        "the limit of task 'work': 9 at once, 0 taken; 0 wait (revision 1)",
        "limit 'a': 2 at once and 5 in 60 s of each key; 2 wait of 1 key, 1 of them parked (revision 1)",
        "  loud: 2 of 2 taken, 2 of 5 started, parked until a slot is free",
    ]
    await registry.register_many([row(f"m{n}", f"m{n}", "a,") for n in range(7)])
    await policy(registry, limit=3)
    lines = (await cli("limits")).splitlines()
    said = r"  .* ago a program declared 3 at once of each key \(revision 1\), which does not hold: raise its "
    assert re.match(said, lines[2])
    assert lines[3].startswith("  loud: 2 of 2 taken")
    assert lines[4:-1] == [f"  m{n}: 0 of 2 taken, 0 of 5 started" for n in range(4)]
    assert lines[-1] == "  … and 3 more keys: lash-redis limits a"
    named = (await cli("limits", "a")).splitlines()
    assert len(named) == 2 + 8
    assert (await cli("limits", "work")).startswith("the limit of task 'work'")
    assert await cli("limits", "nobody") == "there is no limit 'nobody' here\n"

    (found,) = json.loads(await cli("limits", "a", "--json"))["limits"]
    assert found["keys"][0] == {"key": "loud", "taken": 2, "uncertain": 0, "starts": 2, "why": "slots", "detail": ""}
    assert (found["keys_are_cut"], found["otherwise"]["policy"]["limit"]) == (False, 3)
    await registry.register_many([row(f"n{n:03}", f"n{n:03}", "a,") for n in range(120)])
    named = (await cli("limits", "a")).splitlines()
    assert named[-1] == "  … of 128 keys that wait these have the most of the first 100 that were read"
    await registry.aclose()


async def test_what_limits_tells_to_call_next_shows_more(cli: Cli, url: str, namespace: str) -> None:
    """Of a task whose name a shell would read otherwise, and of more keys in two partitions than are listed."""
    registry = ProcessRegistry(url, namespace, partitions=2)
    await registry.open()
    for partition in range(2):
        await registry.name_policies(partition, [Policy("=f.<locals>.g", keyed=True, limit=2)])
        ids = ids_of(60, partition, 2, stem=f"{partition}-")
        await registry.register_many([row(id_, id_, "=f.<locals>.g,") for id_ in ids])
    await registry.aclose()

    listed = (await cli("limits")).splitlines()
    assert listed[-1] == "  … and 115 more keys: lash-redis limits 'f.<locals>.g'"
    named = (await cli("limits", "f.<locals>.g")).splitlines()
    assert named[-1] == "  … and 20 more keys: lash-redis limits 'f.<locals>.g' --json"
    (found,) = json.loads(await cli("limits", "f.<locals>.g", "--json"))["limits"]
    assert (len(found["keys"]), found["keys_are_cut"]) == (120, False)


async def test_show_says_the_key_and_what_it_passes(cli: Cli, url: str, namespace: str) -> None:
    """Each limit with its revision, and the sequence."""
    registry = ProcessRegistry(url, namespace)
    await registry.open()
    await registry.name_policies(0, [Policy("api", keyed=False, limit=20, starts=500, window_ms=60_000)])
    await registry.name_policies(0, [Policy("=work", keyed=True, limit=2, revision=3)])
    await registry.register(row("u", "bob", "=work,api", disposition=OWNER_BOUND))
    (lease,) = await claimed(registry, 1, lane("default", "work", "", "=work,api"))
    await registry.release(lease)
    await registry.register_many([row("p", "ann", "=work,api"), row("s", "ann", "!=work,")])

    shown = await cli("show", "p")
    assert re.search(r"key +ann\n", shown)
    passes = (
        r"passes +the limit of task 'work': 2 at once of each key \(revision 3\)\n"
        r" +limit 'api': 20 at once and 500 in 60 s \(revision 1\)\n"
    )
    assert re.search(passes, shown), shown
    found = json.loads(await cli("show", "p", "--json"))
    assert [each["name"] for each in found["policies"]] == ["=work", "api"]
    assert "it keeps its slots, since nobody knows whether it still runs" in await cli("show", "u")
    assert "keeps its slots" not in shown
    assert re.search(r"sequence +work\n", await cli("show", "s"))
    await registry.aclose()
