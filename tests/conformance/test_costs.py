"""What a process costs, counted: delays, keys, groups and all the rest cost a plain rerunnable one nothing.

The figures of a plain one were counted by this very code before there were any of these, and have only fallen since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lash_redis.core.lanes import lane
from lash_redis.core.model import ProcessLease, ProcessRegistration
from lash_redis.core.outcomes import Success
from lash_redis.core.policies import Policy
from lash_redis.registry.answers import TerminalFact
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.scripts import Script
from tests.conformance.actors import ADA, RERUNNABLE, SERVED, batch_claim, work
from tests.conformance.test_bytes import length
from tests.soundness import keyspace

ROWS = 64
REAL = pytest.mark.parametrize("backend", ["valkey", "redis"], indirect=True)  # a fake server counts no commands
ONE = pytest.mark.parametrize("partitions", [1])


class Bill:
    """Notes the arguments and their bytes of each call of a script, and the commands that it makes the server do."""

    def __init__(self, registry: ProcessRegistry, client: Any) -> None:
        self._client = client
        self._run = registry.sender.transport.run
        registry.sender.transport.run = self.run  # type: ignore[method-assign]
        self.calls: list[tuple[str, int, int]] = []
        self.commands: dict[str, int] = {}

    async def run(self, script: Script, header: str, args: Sequence[Any], **options: Any) -> list[Any]:
        """Run it, and note what it took."""
        self.calls.append((script.name, len(args), length(args)))
        before = await self._count()
        reply = await self._run(script, header, args, **options)
        self.commands[script.name] = await self._count() - before
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
            [("register", 7, 79), ("claim_next", 13, 117), ("terminalize", 8, 96), ("watch", 3, 43)],
            {"register": 9, "claim_next": 17, "terminalize": 12, "watch": 4},
        ),
        (
            64,
            [("register", 385, 3670), ("claim_next", 13, 118), ("terminalize", 323, 3742), ("watch", 66, 1114)],
            {"register": 135, "claim_next": 207, "terminalize": 201, "watch": 67},
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
    """For each row, in a batch of which each row has a key of its own: a plain one takes 3.3 and 3.1."""
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
    assert sorted(row) == ["at", "cd", "d", "in", "ln", "ph", "sq"]
    assert length([*row, *row.values()]) == 67
    assert sorted(keys.keys() - empty.keys()) == ["lanes", "p:plain", "q:default|work|"]
