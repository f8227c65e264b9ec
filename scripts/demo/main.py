"""Run the demo: measure, publish, kill, stop, start, approve, report."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

from demo.files import files_by_package
from demo.kill import kill_one_worker, until
from demo.pool import GRACE_S, WORKERS, Pool
from demo.progress import Progress
from demo.report import Outcome, report
from demo.run import FOLDER, LEDGER, POOL_LOG, RUN
from demo.tasks import CLOCK, SLOTS, Total, lash, measure, publish, total
from lash_redis import ExternalOwner, ProcessRecord, Success
from lash_redis.app.process import Process

PUBLISH_TAKES_S = 0.2
LASTS_S = 60.0
KILLED = ("slow-1", "slow-2")
STOPPED = "slow-3"
MIN_MEASUREMENTS = 1500  # enough work for the faults to hit; the files of a small folder are measured several times
USAGE = "usage: scripts/run [FOLDER]    (the Python standard library's sources unless one is given)"


class Demo:
    """One run of the demo."""

    def __init__(self, folder: str) -> None:
        packages = files_by_package(folder)
        self._files = sum(map(len, packages.values()))
        self._rounds = -(-MIN_MEASUREMENTS // self._files)
        self._calls = [(package, path) for package, paths in packages.items() for path in paths * self._rounds]
        self._files_of = Counter(package for package, _ in self._calls)
        self._measured: dict[str, list[Process]] = {package: [] for package in packages}
        self._published: dict[str, Process] = {}
        self._publishing: list[asyncio.Task[None]] = []
        self._numbers = itertools.count(1)
        self._killed: list[int] = []
        self._codes: list[int] = []
        self._pool = Pool()

    async def run(self) -> bool:
        """Run the demo; return whether every process ended as its declaration demands."""
        FOLDER.mkdir(mode=0o700)
        LEDGER.touch()
        async with lash:
            progress = Progress(lash.registry, len(self._calls), len(self._measured) + len(KILLED) + 1)
            again = f", each {self._rounds} times" if self._rounds > 1 else ""
            progress.note(f"{self._files} files{again} in {len(self._measured)} packages; namespace {RUN}")
            progress.note(
                f"{len(KILLED) + 1} publications more take {LASTS_S:g} s, so that two kills and a stop meet them: "
                f"{', '.join([*KILLED, STOPPED])}"
            )
            progress.note(f"the ledger and the pool's log are in {FOLDER}, and stay there")
            await self._pool.start()
            await until("a worker process is ready", self._is_served)
            began = time.monotonic()
            drawing = asyncio.create_task(progress.run())
            try:
                approval = await lash.expect(f"{RUN}:approval", grantee="desk", metadata={"what": "the whole ledger"})
                summary = await self._measure_meanwhile(progress)
                await asyncio.gather(*self._publishing)
                await summary.outcome(timeout=60)
                progress.note("every file is measured and every publication has ended: the desk approves")
                await lash.complete_external(approval.id, Success(value=True), ExternalOwner("desk"))
                await approval.outcome(timeout=10)
                seconds = time.monotonic() - began
                ticks = await self._ticks()
                self._codes.append(await self._pool.stop())
                await progress.draw()
            finally:
                self._pool.stop_if_running()
                for task in (drawing, *self._publishing):
                    task.cancel()
                await asyncio.gather(drawing, *self._publishing, return_exceptions=True)
            published = {package: await process.record() for package, process in self._published.items()}
            rows = await lash.registry.rows([each.id for members in self._measured.values() for each in members])
            measured = [row.record() for row in rows if row is not None]
            ends = await approval.record(), ticks, await summary.record()
            return report(Outcome(measured, published, *ends, self._killed, self._codes, seconds))

    async def _is_served(self) -> bool:
        if self._pool.has_ended:
            raise SystemExit(f"the pool ended by itself; see {POOL_LOG}")
        return bool((await lash.registry.living(0)).queues)

    async def _measure_meanwhile(self, progress: Progress) -> Process[Total]:
        """Submit the measurements in three parts, and let a fault meet each; return what sums them up."""
        third = -(-len(self._calls) // 3)
        parts = [self._calls[first : first + third] for first in range(0, len(self._calls), third)]
        async with lash.group(total.options(process_id=f"{RUN}:total", if_failed="run")) as group:
            for lasting, calls in zip((*KILLED, STOPPED), parts, strict=True):
                process = await self._publish(lasting, 0, LASTS_S, priority=1)
                await until("the long publication has started", partial(_has_started, process))
                members = await group.submit_many(measure, [(path,) for _, path in calls])
                self._publish_measured(calls, members)
                if lasting in KILLED:
                    await self._kill(progress, process)
                else:
                    await self._stop_and_start(progress)
                await asyncio.gather(*(each.outcome() for each in members[: third // 2]))
        return group.process

    def _publish_measured(self, calls: list[tuple[str, str]], members: list[Process]) -> None:
        """Publish each package of which no later call measures a file, once its files are measured."""
        for (package, _), member in zip(calls, members, strict=True):
            self._measured[package].append(member)
        for package in dict(calls):
            if len(self._measured[package]) == self._files_of[package]:
                self._publishing.append(asyncio.create_task(self._publish_when_measured(package)))

    async def _publish_when_measured(self, package: str) -> None:
        members = self._measured[package]
        await asyncio.gather(*(each.outcome() for each in members))
        process = await self._publish(package, len(members), PUBLISH_TAKES_S)
        await process.outcome()

    async def _publish(self, package: str, files: int, takes_s: float, priority: int = 0) -> Process:
        once = publish.options(process_id=f"{RUN}:publish:{next(self._numbers)}", priority=priority)
        process = self._published[package] = await once.submit(package, files, takes_s)
        return process

    async def _kill(self, progress: Progress, lasting: Process) -> None:
        self._killed.append(await kill_one_worker(lash.registry, lasting))
        progress.note(f"killed worker process {self._killed[-1]} (SIGKILL) while it measured files and had a slot of "
                      f"the limit of {SLOTS} publications")  # fmt: skip

    async def _stop_and_start(self, progress: Progress) -> None:
        self._codes.append(await self._pool.stop())
        await self._pool.start()
        progress.note(f"stopped the pool (SIGTERM): running work had {GRACE_S} s to end; exit code {self._codes[-1]}. "
                      f"Started it again: {WORKERS} worker processes")  # fmt: skip

    async def _ticks(self) -> list[ProcessRecord]:
        """Stop the schedule, wait until what it submitted has ended, and return the records."""
        await lash.schedules.remove(CLOCK)
        records: list[ProcessRecord] = []

        async def all_ended() -> bool:
            records.clear()
            cursor = None
            while True:
                page = await lash.registry.list_labelled("schedule", CLOCK, 500, cursor)
                records.extend(row.record() for row in page.rows)
                if (cursor := page.cursor) is None:
                    return all(record.is_terminal for record in records)

        await until("every tick of the schedule has ended", all_ended)
        return records


async def _has_started(process: Process) -> bool:
    return (await process.record()).phase == "started"


def main() -> int:
    """Run the demo on the folder in ``argv``; return the exit code."""
    folder = sys.argv[1] if len(sys.argv) > 1 else ""
    if Path(folder).name in ("-h", "--help"):
        print(USAGE)
        return 0
    try:
        return 0 if asyncio.run(Demo(folder).run()) else 1
    except KeyboardInterrupt:
        print("\nstopped before its end; the pool drains by itself")
        return 130


if __name__ == "__main__":
    sys.exit(main())
