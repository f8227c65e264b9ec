"""What goes wrong in a supervisor itself, or before any worker process is ready, is told and never in silence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lash_redis.core.model import ProcessStatus
from tests.look import lease_of
from tests.repo.tree import ROOT
from tests.support import wait_until
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

# Python imports it at its start. It makes the first renewals of the supervisor fail as no server makes them fail.
FAULTY = """
import sys
if "worker" in sys.argv:
    from lash_redis.pool.renewal import Renewer
    step, failures = Renewer.step, iter([OSError(24, "Too many open files"), ValueError("a bug")] * 2)

    async def failing(self):
        if list(self._living()):
            for failure in failures:
                raise failure
        await step(self)

    Renewer.step = failing
"""


async def test_renewal_that_fails_for_any_reason_is_told_of_and_goes_on(
    start_pool: StartPool, work: Work, tmp_path: Path
) -> None:
    """No worker process goes on under leases that nobody renews, and the pool claims on."""
    (tmp_path / "sitecustomize.py").write_text(FAULTY)
    pool = start_pool("--lease-ttl", "4", environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    pool.until_begun(await work.submit("pay", "pay"))
    first = await lease_of(work.registry, "pay")

    async def was_renewed() -> bool:
        return (await lease_of(work.registry, "pay")).expires_at_ms > first.expires_at_ms

    await wait_until(was_renewed, "the lease was renewed")
    pool.go("pay")
    pool.go("measure")

    assert (await work.end_of("pay")).status is ProcessStatus.COMPLETED
    assert (await work.end_of(await work.submit("measure", "measure"))).status is ProcessStatus.COMPLETED
    assert 'ERROR pool.fault part=renew reason="OSError: [Errno 24] Too many open files"' in pool.log
    pool.signal()
    assert pool.exit_code() == 0


# As above. It makes every life of the slot fail in the supervisor.
BROKEN = """
import sys
if "worker" in sys.argv:
    from lash_redis.pool.life import Life

    def failing(self, status):
        raise ValueError("a bug")

    Life._is_fault = failing
"""


async def test_a_pool_that_ends_by_a_bug_of_its_own_says_why_in_one_line(start_pool: StartPool, tmp_path: Path) -> None:
    """The exit code is 1. There is no traceback of ours to read through."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    pool = start_pool("--workers", "2", environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    pool.until_ready(2)

    pool.workers[0].kill()

    assert pool.exit_code() == 1
    assert pool.log.splitlines()[-1] == "lash-redis: the pool ended by a fault: ValueError: a bug"
    assert "Traceback" not in pool.log


@pytest.mark.parametrize(
    "module",
    ["import os\nos._exit(0)\n", "import os\nif os.fork():\n    os._exit(0)\nos.setsid()\nos._exit(0)\n"],
    ids=["exits", "daemonizes"],
)
def test_a_pool_whose_worker_processes_never_become_ready_gives_up(
    start_pool: StartPool, tmp_path: Path, module: str
) -> None:
    """Whatever their exit status is. The last line says what was seen."""
    (tmp_path / "app.py").write_text(module)
    pool = start_pool(target="app:lash")

    assert pool.exit_code() == 1
    assert pool.log.splitlines()[-1] == (
        "lash-redis: no worker process has become ready; 5 were started in a row, the last one: exit 0"
    )
    starts = pool.spawned_at_s("1")
    assert len(starts) == 5
    assert starts[-1] - starts[0] >= 0.5 + 1 + 2


def test_a_pool_that_is_stopped_before_any_worker_process_was_ready_does_not_exit_with_0(
    start_pool: StartPool, tmp_path: Path
) -> None:
    """If one has died: whoever started the pool must not take it for one that has drained."""
    (tmp_path / "app.py").write_text("import os\nos._exit(0)\n")
    pool = start_pool(target="app:lash")
    pool.until_logged("pool.died", 3)

    pool.signal()

    assert pool.exit_code() == 1
    assert "no worker process has become ready" in pool.log
