"""Schedules under pools as users run them, and the operator's command (rules 12.1 and 12.2)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from lash_redis.cli.main import main
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.test_schedules import HOUR_MS, declare, declared, stored
from tests.servers import Server
from tests.support import block_until
from tests.system.conftest import StartPool

pytestmark = pytest.mark.system

TASKS = """
import os
from pathlib import Path
from lash_redis import Lash, current_process

LEDGER = Path(__file__).parent / "ledger"
lash = Lash(namespace=os.environ["POOL_NAMESPACE"])


@lash.task(recovery="owner_bound", name="beat")
async def beat() -> None:
    with LEDGER.open("a") as file:
        file.write(current_process().id + "\\n")


lash.schedule("beat", beat, every=1, missed=("all", 100))
"""


# A worker process that is killed once: as it is about to submit ticks, or before it hears that they were submitted.
DYING = """
import signal
from lash_redis.registry.registry import ProcessRegistry

submit_ticks = ProcessRegistry.submit_ticks
DEATHS = Path(__file__).parent / "deaths"


async def submit_and_die(self, plans):
    dies = any(plan.submitted for plan in plans) and not (DEATHS.exists() and len(DEATHS.read_text()) >= 2)
    if dies:
        with DEATHS.open("a") as file:
            file.write("x")
    if not (dies and WHEN == "before"):
        ticked = await submit_ticks(self, plans)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return ticked


ProcessRegistry.submit_ticks = submit_and_die
"""


class Ledger:
    """What ran, as the processes themselves wrote it down: the seconds of their ticks."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ledger"

    def begun(self) -> list[int]:
        """Return the instants of the ticks that began, in that order."""
        lines = self._file.read_text().split() if self._file.exists() else []
        return [int(line.rpartition("::")[2]) for line in lines]

    def until_more(self, count: int) -> None:
        """Wait until so many more have begun."""
        known = len(self.begun())
        block_until(lambda: len(self.begun()) >= known + count, f"{count} more ticks have begun")

    async def check(self, url: str, namespace: str) -> None:
        """Pause the schedule; each second has its process then, and none of them began twice."""
        registry = ProcessRegistry(url, namespace)
        await registry.pause_schedule("beat")
        last_ms = (await stored(registry, "beat")).last_tick_ms
        assert last_ms is not None
        instants = [*range(min(self.begun()), last_ms + 1, 1_000)]
        records = [await registry.get(f"beat::{each}") for each in instants]
        await registry.aclose()
        assert all(records), "each second has its process"
        assert max(Counter(self.begun()).values()) == 1, "and none of them began twice"


async def test_two_pools_that_come_and_go_submit_each_tick_once(
    start_pool: StartPool, tmp_path: Path, namespace: str
) -> None:
    """One is killed while it works, another comes, and the server crashes meanwhile. No second is left out."""
    (tmp_path / "work.py").write_text(TASKS)
    ledger = Ledger(tmp_path)
    with Server("valkey", appendonly="yes", appendfsync="always") as server:
        pools = [start_pool("--workers", "1", url=server.url) for _ in range(2)]
        for pool in pools:
            pool.until_ready()
        ledger.until_more(2)
        pools[0].stop()  # SIGKILL, supervisor and worker process
        ledger.until_more(1)
        server.kill_and_start()
        third = start_pool("--workers", "1", url=server.url)
        third.until_ready()
        ledger.until_more(2)
        await ledger.check(server.url, namespace)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_killed_around_a_tick_leaves_none_out_and_repeats_none(
    start_pool: StartPool, tmp_path: Path, url: str, namespace: str, when: str
) -> None:
    """Twice: by the next one the schedule is told again, or the ticks are found as submitted."""
    (tmp_path / "work.py").write_text(TASKS + f"WHEN = {when!r}\n" + DYING)
    ledger = Ledger(tmp_path)
    start_pool("--workers", "1", url=url)
    ledger.until_more(4)
    assert (tmp_path / "deaths").read_text() == "xx"
    await ledger.check(url, namespace)


async def test_an_operator_sees_and_changes_schedules(
    url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next time in words, and what somebody should look at."""
    registry = ProcessRegistry(url, namespace, 2)
    await declare(registry, declared("hourly"), declared("other"))
    await registry.undeclare_schedule("other")
    monkeypatch.setenv("LASH_REDIS_URL", url)

    async def cli(*argv: str, verb: str = "schedules", code: int = 0) -> str:
        try:
            ended = await asyncio.to_thread(main, [verb, *argv, "--namespace", namespace])
        except SystemExit as error:
            ended = int(error.code or 0)
        out, err = capsys.readouterr()
        assert ended == code, err
        return out or err

    lines = (await cli()).splitlines()
    assert lines[0].split() == ["NAME", "NEXT", "RULE", "TASK", "QUEUE", "LAST"]
    assert ":00:00 UTC, in " in lines[1]
    assert "every 1 h" in lines[1]
    assert lines[1].split()[0] == "hourly"
    assert "other: the code of a worker that has its task does not declare it" in lines[-1]
    times = (await cli("next", "hourly")).splitlines()
    assert len(times) == 5
    assert all(each.endswith(":00:00 UTC") for each in times)
    ms = [each["ms"] for each in json.loads(await cli("next", "hourly", "--json"))["times"]]
    assert ms == [*range(ms[0], ms[0] + 5 * HOUR_MS, HOUR_MS)]
    times = (await cli("next", "hourly", "--from", "2098-10-25T23:30")).splitlines()
    assert times[:2] == ["Sun 2098-10-26 00:00:00 UTC", "Sun 2098-10-26 01:00:00 UTC"]
    assert "a moment such as 2026-10-25T01:30" in await cli("next", "hourly", "--from", "tomorrow", code=2)
    assert "expected --from with next alone" in await cli("pause", "hourly", "--from", "2098-10-25", code=2)
    assert "schedule 'nobody' is not stored" in await cli("next", "nobody", code=1)
    assert await cli("pause", "hourly") == "hourly submits no more, until it is resumed\n"
    assert "hourly  paused" in await cli()
    assert "hourly goes on from now" in await cli("resume", "hourly")
    process_id = json.loads(await cli("run", "hourly", "--json"))["process_id"]
    assert await registry.get(process_id) is not None
    assert "schedule    hourly, run by hand, beside its ticks" in await cli(process_id, verb="show")
    assert "schedules: 2 (lash-redis schedules)" in (await cli(verb="ps")).splitlines()
    assert json.loads(await cli("--json", verb="ps"))["schedules"] == 2
    await cli("remove", "other")
    (found,) = json.loads(await cli("--json"))["schedules"]
    assert (found["name"], found["spec"], found["rule"]) == ("hourly", f"every {HOUR_MS}", "every 1 h")
    assert "schedule 'other' is not stored" in await cli("remove", "other", code=1)
    assert "expected the name of a schedule after pause" in await cli("pause", code=2)
    await registry.aclose()
