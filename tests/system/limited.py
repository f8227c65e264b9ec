"""Work under limits for real pools, with a log of what ran that Redis knows nothing of, and kills at chosen moments."""

from __future__ import annotations

import importlib.util
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import redis.asyncio

from lash_redis.registry.keys import partition_of
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from tests.soundness import assert_sound, keyspace
from tests.support import wait_until
from tests.system.pools import RunningPool

# Each begin and each end is a line in one file, whatever the registry thinks. A worker process kills itself, once for
# each moment for which the test has made a file, and says so there.
TASKS = '''
import asyncio, os, signal, threading
from pathlib import Path
from lash_redis import Lash, current_process
from lash_redis.registry.transport.transport import Transport

FOLDER = Path(__file__).parent
lash = Lash(namespace=os.environ["POOL_NAMESPACE"], partitions=int(os.environ.get("POOL_PARTITIONS", "1")))
LIMIT = os.environ.get("POOL_LIMIT")
api = lash.limit("api", limit=int(LIMIT or 3))


def note(word, id_="-", task="-", key="-", slots=0):
    line = os.open(FOLDER / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(line, f"{word} {id_} {task} {key} {slots} {os.getpid()}\\n".encode())
    os.close(line)


def kill_at(moment):
    try:
        (FOLDER / f"{moment}.kill").unlink()
    except FileNotFoundError:
        return
    note("killed", moment)
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()


run = Transport.run


async def run_and_die(self, script, header, args, **how):
    if script.name in ("terminalize", "turn"):
        kill_at("ended")
    reply = await run(self, script, header, args, **how)
    if len(reply[1] if script.name == "turn" else reply) > 6 and script.name in ("claim_next", "turn"):
        kill_at("claimed")
    if script.name in ("terminalize", "turn"):
        kill_at("answered")
    return reply


if "POOL_KILLS" in os.environ:
    Transport.run = run_and_die


def declare(name, **options):
    """Make two tasks of this name, one of each disposition."""
    for recovery in ("rerunnable", "owner_bound"):
        declare_one(f"{name}_{recovery}", recovery, options)


def declare_one(task, recovery, options):
    async def work(key: str, slots: int = 1) -> None:
        id_ = current_process().id
        note("begin", id_, task, key, slots)
        await asyncio.sleep(0.03)
        kill_at("running")
        await asyncio.sleep(0.03)
        note("end", id_, task, key, slots)

    globals()[task] = lash.task(recovery=recovery, name=task, **options)(work)


declare("limit", key="key", limit=int(LIMIT or 2))
declare("both", key="key", limit=int(LIMIT or 2), within=api)
declare("shared", within=api)
declare("rate", key="key", rate=(int(LIMIT or 2), 1))
declare("cost", key="key", limit=int(LIMIT or 3), cost="slots")
declare("fair", key="key", fair=True)
'''

MOMENTS = ("claimed", "running", "ended", "answered")


class Limited:
    """The module that a pool runs, as this program's own too, to submit by."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._url, self._monkeypatch = folder, url, monkeypatch
        (folder / "limited.py").write_text(TASKS)

    def load(self, **settings: str) -> ModuleType:
        """Return the module, with these environment variables for it and for pools."""
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)
        spec = importlib.util.spec_from_file_location("limited", self.folder / "limited.py")
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        self._monkeypatch.setitem(sys.modules, "limited", made)
        spec.loader.exec_module(made)
        return made

    async def assert_all_is_given_back(self, registry: ProcessRegistry) -> None:
        """Check that the namespace is sound, nobody has slots, and nothing waits."""
        async with redis.asyncio.Redis.from_url(self._url) as client:
            await assert_sound(client, registry.namespace)
            names = [name for keys in (await keyspace(client, registry.namespace)).values() for name in keys]
        assert [name for name in names if name.startswith(("slots:", "next:", "turn:", "parked:", "k:"))] == []


async def all_end(registry: ProcessRegistry, pool: RunningPool, at_most_s: float) -> None:
    """Wait until all work has ended."""

    async def have_ended() -> bool:
        return not (await registry.list_non_terminal(1)).records

    pool.until_ready()
    await wait_until(have_ended, f"all work has ended\n{pool.log[-2000:]}", at_most_s)


class Run(NamedTuple):
    """A piece of work that runs."""

    process_id: str
    task: str
    key: str
    slots: int
    pid: int

    @property
    def partition(self) -> int:
        """The one of eight in which it stands."""
        return partition_of(self.process_id, 8)


def moments(folder: Path) -> Iterator[list[Run]]:
    """Yield what ran after each line of the log; what ran in a worker process that was killed runs no more."""
    now: list[Run] = []
    for line in (folder / "log").read_text().splitlines():
        word, *rest, pid = line.split()
        if word == "killed":
            now = [each for each in now if each.pid != int(pid)]
            continue
        id_, task, key, slots = rest
        run = Run(id_, task, key, int(slots), int(pid))
        now = [*now, run] if word == "begin" else [each for each in now if each != run]
        yield now


def most_of(folder: Path, *by: str) -> dict[tuple[str, ...], int]:
    """Return how many slots were taken at most at once, for each combination of these fields of a run."""
    most: dict[tuple[str, ...], int] = defaultdict(int)
    for now in moments(folder):
        taken: dict[tuple[str, ...], int] = defaultdict(int)
        for run in now:
            taken[tuple(str(getattr(run, field)) for field in by)] += run.slots
        for name, number in taken.items():
            most[name] = max(most[name], number)
    return dict(most)


def most_starts(rows: list[Row], partitions: int = 1) -> list[tuple[int, int]]:
    """Return how many of each lane, key and partition started, and how many windows of a second there were for them.

    By the server's clock, and by the first starts alone. The first of all opens a window.
    """
    starts: dict[tuple[str, str | None, int], list[int]] = defaultdict(list)
    for row in rows:
        first = row.record().first_started
        assert first is not None
        starts[row.lane, row.key, partition_of(row.process_id, partitions)].append(first.started_at_ms)
    return [(len(times), (max(times) - min(times)) // 1000 + 1) for times in starts.values()]


def killed(folder: Path) -> list[str]:
    """Return the moments at which a worker process was killed."""
    lines = (folder / "log").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("killed")]
