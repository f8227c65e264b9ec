"""Run the demo: measure, publish, kill, stop, start, approve, report."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

# This run has a namespace of its own. The tasks read it when they are imported.
RUN = f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
os.environ["LASH_DEMO_NAMESPACE"] = RUN

from demo.faults import kill_one_worker, stop_and_start, until  # noqa: E402
from demo.files import files_by_package  # noqa: E402
from demo.pool import GRACE_S, WORKERS, Pool  # noqa: E402
from demo.progress import Progress  # noqa: E402
from demo.report import Outcome, report  # noqa: E402
from demo.tasks import lash, measure, publish  # noqa: E402
from lash_redis import ExternalOwner, Success  # noqa: E402
from lash_redis.app.process import Process  # noqa: E402

PUBLISH_TAKES_S = 1.0
LASTS_S = 60.0
KILLED = "slow-1"
STOPPED = "slow-2"
MIN_MEASUREMENTS = 600  # enough work for both faults to hit; the files of a small folder are measured several times
USAGE = "usage: scripts/run [FOLDER]    (the Python standard library's sources unless one is given)"


class Demo:
    """One run of the demo."""

    def __init__(self, folder: str) -> None:
        self._packages = files_by_package(folder)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{RUN}-"))
        self._ledger = self._folder / "ledger.tsv"
        self._ledger.touch()
        self._published: dict[str, Process] = {}
        self._numbers = itertools.count(1)
        self._publishing: list[asyncio.Task[None]] = []
        self._pool = Pool(self._folder / "pool.log")

    async def run(self) -> bool:
        """Run the demo; return whether every process ended as its declaration demands."""
        files = sum(map(len, self._packages.values()))
        rounds = -(-MIN_MEASUREMENTS // files)
        async with lash:
            progress = Progress(lash.registry, files * rounds, len(self._packages) + 2)
            again = f", each {rounds} times" if rounds > 1 else ""
            progress.note(f"{files} files{again} in {len(self._packages)} packages; namespace {RUN}")
            progress.note(
                f"two publications more take {LASTS_S:g} s, so that a kill or a stop meets them: {KILLED}, {STOPPED}"
            )
            progress.note(f"the ledger and the pool's log are in {self._folder}, and stay there")
            began = time.monotonic()
            await self._pool.start()
            drawing = asyncio.create_task(progress.run())
            try:
                measured, approval = await self._submit(rounds)
                codes = [await self._faults(progress, files * rounds)]
                await asyncio.gather(*self._publishing)
                progress.note("every file is measured and every publication has ended: the desk approves")
                await lash.complete_external(approval.id, Success(value=True), ExternalOwner("desk"))
                await approval.outcome(timeout=10)
                seconds = time.monotonic() - began
                codes.append(await self._pool.stop())
                await progress.draw()
            finally:
                self._pool.stop_if_running()
                for task in (drawing, *self._publishing):
                    task.cancel()
                await asyncio.gather(drawing, *self._publishing, return_exceptions=True)
            published = {package: await process.record() for package, process in self._published.items()}
            rows = await lash.registry.rows([process.id for process in measured])
            records = [row.record() for row in rows if row is not None]
            return report(Outcome(records, published, await approval.record(), self._ledger, codes, seconds))

    async def _submit(self, rounds: int) -> tuple[list[Process], Process]:
        approval = await lash.expect(f"{RUN}:approval", grantee="desk", metadata={"what": "the whole ledger"})
        measured: list[Process] = []
        for package, paths in self._packages.items():
            processes = await measure.submit_many((path,) for path in paths * rounds)
            measured += processes
            self._publishing.append(asyncio.create_task(self._publish_when_measured(package, processes)))
        return measured, approval

    async def _publish_when_measured(self, package: str, processes: list[Process]) -> None:
        await asyncio.gather(*(process.outcome() for process in processes))
        process = await self._publish(package, len(processes), PUBLISH_TAKES_S)
        await process.outcome()

    async def _publish(self, package: str, files: int, takes_s: float) -> Process:
        once = publish.options(process_id=f"{RUN}:publish:{next(self._numbers)}")
        process = self._published[package] = await once.submit(package, files, str(self._ledger), takes_s)
        return process

    async def _faults(self, progress: Progress, files: int) -> int:
        async def measured_share(share: float) -> None:
            await until(f"{share:.0%} of the files are measured", lambda: self._reached(progress, share * files), 0.1)

        await measured_share(0.25)
        await self._publish(KILLED, 0, LASTS_S)
        pid = await kill_one_worker(lash.registry)
        progress.note(f"killed worker process {pid} (SIGKILL) while it ran rerunnable and owner-bound work")
        await measured_share(0.65)
        lasting = await self._publish(STOPPED, 0, LASTS_S)
        code = await stop_and_start(self._pool, lasting)
        progress.note(f"stopped the pool (SIGTERM): running work had {GRACE_S} s to end; exit code {code}. "
                      f"Started it again: {WORKERS} worker processes")  # fmt: skip
        return code

    async def _reached(self, progress: Progress, number: float) -> bool:
        if self._pool.has_ended:
            raise SystemExit(f"the pool ended by itself; see {self._folder}/pool.log")
        await progress.read()
        return progress.measured >= number


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
