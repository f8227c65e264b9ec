"""What a process costs, counted: delays, keys, groups and all the rest cost a plain rerunnable one nothing.

The figures of a plain one were counted by this very code before there were any of these, and have only fallen
since, but for one byte of a single submit.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import ProcessLease, ProcessRegistration
from lash_redis.core.outcomes import Success
from lash_redis.core.policies import Policy
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.scripts import Script
from tests.conformance.actors import ADA, BOB, LONG_MS, RERUNNABLE, SERVED, batch_claim, begun, local_owner, work
from tests.conformance.test_bytes import length
from tests.soundness import keyspace

ROWS = 64
REAL = pytest.mark.parametrize("backend", ["valkey", "redis7"], indirect=True)  # a fake server counts no commands
ONE = pytest.mark.parametrize("partitions", [1])


class Bill:
    """Notes the arguments and their bytes of each call of a script, and the commands that it makes the server do."""

    def __init__(self, registry: ProcessRegistry, client: Any) -> None:
        self._client = client
        self._run = registry.sender.transport.run
        registry.sender.transport.run = self.run  # type: ignore[method-assign]
        self.calls: list[tuple[str, int, int]] = []
        self.commands: dict[str, int] = {}
        self.commands_of_calls: list[int] = []

    async def run(self, script: Script, header: str, args: Sequence[Any], **options: Any) -> list[Any]:
        """Run it, and note what it took."""
        self.calls.append((script.name, len(args), length(args)))
        before = await self._count()
        reply = await self._run(script, header, args, **options)
        self.commands[script.name] = await self._count() - before
        self.commands_of_calls.append(self.commands[script.name])
        return reply

    async def _count(self) -> int:
        stats = await self._client.info("commandstats")
        return sum(each["calls"] for name, each in stats.items() if not name.startswith(_BESIDE))


_BESIDE = (
    "cmdstat_info",
    "cmdstat_eval",
    "cmdstat_fcall",
    "cmdstat_function",
    "cmdstat_hello",
    "cmdstat_client",
    "cmdstat_config",
    "cmdstat_script",
)


async def run_rows(registry: ProcessRegistry, number: int, count: int, scopes: str | None = None) -> None:
    """Let so many processes go from the submit to the outcome that is read, all in one call of each script.

    The number is that of the claim; the first one asks to be remembered, as a worker's claims do every few seconds.
    With scopes each process has a key of its own.
    """
    names = [f"row{number}-{each:012d}" for each in range(count)]
    keyed = {} if scopes is None else {"scopes": scopes}
    await registry.register_many([plain(name, **(keyed and {"key": name, **keyed})) for name in names])
    served = SERVED if scopes is None else (("default", (lane("default", "work", "", scopes),)),)
    claim = batch_claim(registry, ADA, number=number, count=count, served=served, remembers=number == 1)
    batch = await registry.claim_next(claim)
    leases = [ProcessLease(row.process_id, ADA, row.token, row.fence, 0, 0) for row in batch.rows]
    facts = [TerminalFact(lease, *registry.encoded(Success())) for lease in leases]
    assert await registry.terminalize_many(facts) == ["DONE"] * count
    await registry.watch(names, "desk")


def plain(name: str, **options: Any) -> ProcessRegistration:
    """Return what a submit registers that asks for nothing else."""
    return work(name, RERUNNABLE, 7, chosen_id=False, **options)


@ONE
@REAL
@pytest.mark.parametrize(
    ("rows", "calls", "commands"),
    [
        (
            1,
            [("register", 7, 59), ("claim_next", 13, 117), ("terminalize", 8, 96), ("watch", 3, 43)],
            {"register": 9, "claim_next": 16, "terminalize": 13, "watch": 5},
        ),
        (
            64,
            [("register", 133, 1383), ("claim_next", 13, 118), ("terminalize", 323, 3742), ("watch", 66, 1114)],
            {"register": 72, "claim_next": 207, "terminalize": 139, "watch": 68},
        ),
    ],
)
async def test_a_plain_process_takes_as_many_calls_arguments_bytes_and_commands_as_ever(
    registry: ProcessRegistry, client: Any, rows: int, calls: list[tuple[str, int, int]], commands: dict[str, int]
) -> None:
    """One call to submit it, to claim and start it, to end it and to read its outcome, alone and in a batch."""
    await run_rows(registry, 1, rows)  # loads the scripts, and names the lanes
    bill = Bill(registry, client)

    await run_rows(registry, 2, rows)

    assert bill.calls == calls
    assert bill.commands == commands


@ONE
@REAL
@pytest.mark.parametrize(
    ("scopes", "values", "most"),
    [
        (",", {}, (5.3, 3.2)),
        ("a,", {"limit": 2}, (7.5, 4.3)),
        ("a,", {"starts": 9, "window_ms": 60_000}, (9.4, 4.3)),
        (",a", {"limit": 1000}, (5.4, 4.3)),
    ],
)
async def test_a_key_and_a_limit_take_few_commands_more(
    registry: ProcessRegistry, client: Any, scopes: str, values: dict[str, int], most: tuple[float, float]
) -> None:
    """For each row, in a batch of which each row has a key of its own: a plain one takes 3.2 and 2.2."""
    await registry.name_policies(0, [Policy("a", scopes == "a,", **values)])
    await run_rows(registry, 1, ROWS, scopes)
    bill = Bill(registry, client)

    await run_rows(registry, 2, ROWS, scopes)

    assert bill.commands["claim_next"] / ROWS < most[0]
    assert bill.commands["terminalize"] / ROWS < most[1]


@ONE
@REAL
async def test_a_plain_row_is_as_short_as_ever(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """Its fields while it waits in its lane, their names and values, and what stands there beside the row."""
    await registry.open()
    empty = (await keyspace(client, namespace))[0]

    await registry.register_many([plain("plain")])

    keys = (await keyspace(client, namespace))[0]
    row = keys["p:plain"].value
    assert isinstance(row, dict)
    assert sorted(row) == ["at", "d", "in", "ln", "ph", "sq"]
    assert length([*row, *row.values()]) == 32
    assert sorted(keys.keys() - empty.keys()) == ["lanes", "names", "p:plain", "q:default|work|"]


class Sent:
    """Counts the calls that go from a registry to the server, and the commands that they make it do."""

    def __init__(self, registry: ProcessRegistry, client: Any) -> None:
        self._bill = Bill(registry, client)

    def __call__(self) -> dict[str, int]:
        """Return the commands of each script that was called, and forget them."""
        counted = {name: self._bill.commands[name] for name, _, _ in self._bill.calls}
        self._bill.calls.clear()
        return counted


@ONE
@REAL
async def test_a_sweep_with_nothing_to_recover_costs_the_same_however_many_rows_live(
    registry: ProcessRegistry, client: Any
) -> None:
    """Queued, held and delayed: a call that says what there is, and one that reads who holds something."""
    sweep = Sweep(registry, BOB)
    await sweep.run_once()  # the first forgets owners, and loads the scripts
    sent = Sent(registry, client)
    await sweep.run_once()
    assert sent() == {"glance": 2}

    counted, claims = [], itertools.count(1)
    for more in (1_000, 19_000):
        names = [f"row{more}-{each}" for each in range(more)]
        await registry.register_many([plain(each) for each in names])
        await registry.register_many([plain(f"{each}-later", delay_ms=LONG_MS) for each in names[: more // 4]])
        for _ in range(more // 1_000):
            await registry.claim_next(batch_claim(registry, ADA, number=next(claims), count=500))
        sent()
        await sweep.run_once()
        counted.append(sent())
    assert counted == [{"glance": 7, "holders": 3}] * 2


@ONE
@REAL
async def test_the_owners_of_a_page_are_read_together(registry: ProcessRegistry, client: Any) -> None:
    """Each sweep reads the owners whose death it could prove: so many commands, however many they are."""
    names, me = [f"p{each}" for each in range(40)], local_owner()
    assert isinstance(me.liveness, LocalProcess)
    elsewhere = msgspec.structs.replace(me.liveness, host_id="another")
    await registry.register_many([plain(each) for each in names])
    for number, each in enumerate(names):
        await registry.claim(each, LeaseOwner(each, "1", me.liveness if number % 4 else elsewhere), LONG_MS)
    sent = Sent(registry, client)

    assert len(await registry.holders(0)) == 40
    assert sent() == {"holders": 5}
    assert len(await registry.holders(0, near=me)) == 30
    assert sent() == {"holders": 6}


@ONE
@REAL
async def test_a_renewal_takes_three_commands_for_each_lease_in_calls_of_some_milliseconds(
    registry: ProcessRegistry, client: Any
) -> None:
    """It reads a row, moves its key and its field. No call is about more than 200 rows."""
    await registry.register_many([plain(f"p{each}") for each in range(1_000)])
    for number in (1, 2):
        await registry.claim_next(batch_claim(registry, ADA, number=number, count=500))
    owners = [owner_digest(ADA), *(owner_digest(LeaseOwner.opaque(f"idle{each}", "1")) for each in range(20))]
    bill = Bill(registry, client)

    assert len(await registry.renew_owned(0, owners, LONG_MS)) == 1_000
    assert [name for name, _, _ in bill.calls] == ["renew_owned"] * 6
    assert sum(bill.commands_of_calls) <= 1_000 * 3 + 6 * 7 + len(owners)


@ONE
@REAL
async def test_a_row_says_nothing_twice(registry: ProcessRegistry, client: Any, namespace: str) -> None:
    """Neither while it runs under the lease that started it nor once it has ended: who started it stands there once."""
    await registry.register_many([plain("plain")])
    lease = await begun(registry, "plain", ADA)
    running = (await keyspace(client, namespace))[0]["p:plain"].value
    await registry.complete(lease, Success())
    ended = (await keyspace(client, namespace))[0]["p:plain"].value

    assert isinstance(running, dict)
    assert isinstance(ended, dict)
    assert sorted(running) == ["at", "d", "ex", "fa", "fe", "ho", "in", "ln", "ph", "sq", "tk"]
    assert sorted(ended) == ["at", "d", "ex", "fa", "fe", "ho", "in", "ln", "oc", "ph", "sq", "ta", "tk", "ts"]
    assert ended["ex"] == b""
