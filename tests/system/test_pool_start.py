"""Starting a pool: what it announces, and how it refuses what cannot start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.embedded.launch import READY, ping
from lash_redis.registry.registry import ProcessRegistry
from tests.repo.tree import ROOT
from tests.servers import Servers
from tests.support import block_until, no_project
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

FAKE = """
import fakeredis
from lash_redis import Lash
lash = Lash(fakeredis.FakeAsyncRedis())
lash.task(recovery="rerunnable", name="send")(lambda: None)
"""


NAMED = "lash.task(recovery='rerunnable', name='send')(lambda: None)\n"
NO_TASKS = "from lash_redis import Lash\nlash = Lash('redis://127.0.0.1:1/0')\n"


@pytest.mark.parametrize(
    ("module", "target", "text"),
    [
        ("", "nowhere:lash", "no module named 'nowhere'"),
        ("", "app.tasks:lash", "no module named 'app.tasks'"),
        ("", "no.where:lash", "no module named 'no' (of 'no.where')"),
        ("lash = 1", "app:other", "app has no 'other'; it has no Lash"),
        ("from lash_redis import Lash\nours = Lash()", "app:lash", "it has a Lash named 'ours'"),
        ("lash = 1", "app:lash", "expected a Lash, got int"),
        ("import nothing_of_that_name", "app:lash", "No module named 'nothing_of_that_name'"),
        ("def f():\n    1 / 0\nf()", "app:lash", 'app.py", line 2, in f'),
        ("lash = (", "app:lash", "SyntaxError"),
        ("raise SystemExit(0)", "app:lash", "SystemExit: 0"),
        (FAKE, "app:lash", "expected the Lash of a pool to be made from a URL"),
        ("", "app", "expected MODULE:ATTR, got 'app': it has no Lash"),
        (NO_TASKS, "app:lash", "app:lash has no tasks, so there is nothing to run. Imported: app. Put @lash.task"),
    ],
)
def test_a_target_that_cannot_run_is_refused_in_clear_words(
    start_pool: StartPool, tmp_path: Path, module: str, target: str, text: str
) -> None:
    """The exit code is 2, since trying again would not help. The reason is all that is said, without our own frames."""
    (tmp_path / "app.py").write_text(module)
    pool = start_pool("--workers", "2", target=target)

    assert pool.exit_code() == 2
    assert pool.log.startswith("lash-redis: ")
    assert pool.log.count(text) == 1
    assert "lash_redis/pool" not in pool.log
    assert "pool." not in pool.log


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (("--workers", "0"), "lash-redis: expected --workers to be an integer from 1 to 512, got 0"),
        (("--grace", "soon"), "expected a number of seconds, got 'soon'"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_started(
    start_pool: StartPool, option: tuple[str, str], text: str
) -> None:
    """The message names the value and what is allowed."""
    pool = start_pool(*option)

    assert pool.exit_code() == 2
    assert text in pool.log
    assert "pool.spawned" not in pool.log


@pytest.mark.parametrize(
    ("variable", "text"),
    [(None, "is in no project"), ("", "expected $LASH_REDIS_URL to be a URL such as redis://")],
    ids=["unset", "empty"],
)
def test_a_pool_without_a_server_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, text: str
) -> None:
    """In a folder that is no project no server appears; the exit code is 2, since trying again would not help."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LASH_REDIS_")}
    environment |= {"PYTHONPATH": str(ROOT)} | ({} if variable is None else {"LASH_REDIS_URL": variable})
    with no_project(monkeypatch) as bare:
        (bare / "app.py").write_text(NO_TASKS.replace("'redis://127.0.0.1:1/0'", "") + NAMED)
        command = [sys.executable, "-m", "lash_redis", "worker", "app:lash"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert {path.name for path in bare.iterdir()} <= {"app.py", "__pycache__"}

    assert ran.returncode == 2
    assert text in ran.stderr


async def test_a_namespace_with_another_partition_count_is_refused(
    start_pool: StartPool, tmp_path: Path, work: Work
) -> None:
    """The exit code is 2, since trying again would not help, and the message names both counts."""
    await work.registry.open()
    (tmp_path / "app.py").write_text(
        "import os\nfrom lash_redis import Lash\nlash = Lash(namespace=os.environ['POOL_NAMESPACE'], partitions=2)\n"
        "lash.task(recovery='rerunnable', name='send')(lambda: None)\n"
    )
    pool = start_pool(target="app:lash")

    assert pool.exit_code() == 2
    assert "expected partitions to be 1" in pool.log


def test_a_bad_url_is_refused(start_pool: StartPool) -> None:
    """Also a URL that only redis-py refuses."""
    pool = start_pool(url="redis://127.0.0.1:1/0?no_such_option=1")

    assert pool.exit_code() in (1, 2)
    assert "lash-redis: " in pool.log


def test_a_pool_that_is_started_before_its_server_waits_for_it(
    start_pool: StartPool, tmp_path: Path, servers: Servers
) -> None:
    """A machine may start both at once. That it waits is told at once, and for how long it would."""
    there = tmp_path / "later.sock"
    pool = start_pool(url=f"unix://{there}")

    pool.until_logged("pool.waiting")
    assert "gives_up_after_s=60" in pool.log
    assert "pool.died" not in pool.log
    there.symlink_to(servers["valkey"].url.removeprefix("unix://"))

    pool.until_ready()
    pool.signal()
    assert pool.exit_code() == 0


def test_a_pool_that_is_stopped_while_it_waits_for_its_server_says_so(start_pool: StartPool, tmp_path: Path) -> None:
    """The exit code is 1: it has never worked."""
    pool = start_pool(url=f"unix://{tmp_path}/nothing")
    pool.until_logged("pool.waiting")

    pool.signal()

    assert pool.exit_code() == 1
    assert pool.log.splitlines()[-1].startswith("lash-redis: no worker process has become ready: ")


def test_a_pool_gives_up_if_its_server_stays_away(start_pool: StartPool, tmp_path: Path) -> None:
    """After the time that is set. The exit code is 1: whoever started it may try again."""
    pool = start_pool("--start-timeout", "0.5", "--workers", "2", url=f"unix://{tmp_path}/nothing")

    assert pool.exit_code() == 1
    last = pool.log.splitlines()[-1]
    assert last.startswith("lash-redis: no worker process has become ready: ")
    assert last.endswith("; the pool has waited for 0.5 s (--start-timeout)")


def test_a_pool_says_what_it_serves(start_pool: StartPool, tmp_path: Path, url: str) -> None:
    """Once, however many worker processes it has: the tasks, the queues, and where the tasks were found."""
    (tmp_path / "shop" / "orders").mkdir(parents=True)
    for package in ("shop", "shop/orders"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "shop" / "app.py").write_text("from lash_redis import Lash\nlash = Lash()\n")
    for module in ("shop/orders/tasks.py", "other.py"):
        (tmp_path / module).write_text(
            "from shop.app import lash\n@lash.task(recovery='rerunnable')\ndef send(): ...\n"
        )
    pool = start_pool(
        "--workers", "2", "--import", "other", "--url", url, "--queues", "a,b", target="shop.app", url=None
    )
    pool.until_ready(2)

    (served,) = [line for line in pool.log.splitlines() if "pool.serving" in line]
    assert served.endswith(
        'task_count=2 tasks="other.send, shop.orders.tasks.send" queues="a, b" modules="other, shop.orders.tasks" '
        "unserved_queues=default"
    )
    pool.until_logged("; 2 tasks: other.send, shop.orders.tasks.send")  # its supervisor hears later


def test_a_url_for_a_lash_that_names_its_own_server_is_refused(start_pool: StartPool, tmp_path: Path, url: str) -> None:
    """It would be without effect, in silence."""
    (tmp_path / "app.py").write_text(
        "from lash_redis import Lash\nlash = Lash('unix:///elsewhere')\n"
        "@lash.task(recovery='rerunnable')\ndef send(): ...\n"
    )
    pool = start_pool("--url", url, target="app:lash", url=None)

    assert pool.exit_code() == 2
    assert "--url has no effect: the Lash names its own server, unix:///elsewhere" in pool.log


def test_a_worker_process_that_is_slow_to_load_is_told_of(start_pool: StartPool, tmp_path: Path) -> None:
    """With the module that is being imported. A hanging import would be silent for ever."""
    (tmp_path / "app.py").write_text("import time\ntime.sleep(600)\n")
    (tmp_path / "sitecustomize.py").write_text("from lash_redis.pool import life\nlife.SLOW_START_S = 0.2\n")
    pool = start_pool(target="app:lash", environment={"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"})

    pool.until_logged('doing="importing app"')

    assert re.search(r'pool\.slow_start slot=1 pid=\d+ doing="importing app" waited_s=\d+', pool.log)
    pool.signal()
    assert pool.exit_code() == 0


async def test_a_pool_serves_the_tasks_that_it_is_told_to(start_pool: StartPool, work: Work) -> None:
    """Work of the others waits for a pool that serves them."""
    pool = start_pool("--tasks", "measure,hold_the_gil")
    pool.go("pay")
    pool.go("measure")
    await work.submit("pay", "pay")

    measured = await work.end_of(await work.submit("measure", "measure"))

    assert measured.status is ProcessStatus.COMPLETED
    assert (await work.record("pay")).phase is Phase.QUEUED
    other = start_pool("--tasks", "pay")
    assert (await work.end_of("pay")).status is ProcessStatus.COMPLETED
    assert other.begun("pay")


def test_a_task_that_is_unknown_is_refused_with_those_that_are_known(start_pool: StartPool) -> None:
    """A misspelled name would leave work waiting for ever. The exit code is 2."""
    pool = start_pool("--tasks", "measure,mesure,pya")

    assert pool.exit_code() == 2
    said = pool.log.splitlines()[-1]
    assert said.startswith("lash-redis: expected tasks to be among measure, pay, ")
    assert said.endswith("got mesure, pya: did you mean 'measure'?")


def test_a_pool_announces_how_long_its_stop_takes_and_how_durable_its_server_is(start_pool: StartPool) -> None:
    """The seconds are all phases of the drain and a margin; a unit file needs them."""
    pool = start_pool("--workers", "2", "--grace", "20", "--queues", "a,b")
    pool.until_ready(2)

    pool.until_logged("2 worker processes for a,b of namespace test-")
    assert "durability: none" in pool.log
    assert "allow 30 s when you stop it" in pool.log


def test_no_password_is_in_an_argument_list_or_a_log(start_pool: StartPool, url: str) -> None:
    """A list of OS processes and a log show no secret."""
    pool = start_pool(url=f"{url}?password=s3cr3t&username=default")
    pool.until_ready()
    (worker,) = pool.workers

    assert "s3cr3t" not in " ".join([*worker.cmdline(), *pool.supervisor.cmdline()])
    assert "s3cr3t" not in pool.log


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return the arguments that start a pool on an embedded server of the test's own."""
    with tempfile.TemporaryDirectory() as runtime:
        yield {"url": None, "environment": {"XDG_RUNTIME_DIR": runtime, "LASH_REDIS_DATA": str(tmp_path / "data")}}


def guardian_of(data: Path) -> psutil.Process | None:
    """Return the guardian of a data folder, None if there is none."""
    for each in psutil.process_iter():
        try:
            command = each.cmdline()
        except psutil.Error:
            continue
        if "lash_redis.embedded.guardian" in command and str(data) in command:
            return each
    return None


def test_several_pools_share_the_embedded_server_and_end_it(
    start_pool: StartPool, tmp_path: Path, embedded: dict[str, Any]
) -> None:
    """Without a URL they use the project's own server. It stops after the last supervisor has ended."""
    one, two = start_pool(**embedded), start_pool("--workers", "2", **embedded)
    one.until_ready()
    two.until_ready(2)
    guardian = guardian_of(tmp_path / "data")
    assert guardian is not None

    one.signal(signal.SIGINT)
    assert one.exit_code() == 0
    assert guardian.is_running()
    two.signal()
    assert two.exit_code() == 0

    block_until(lambda: not guardian.is_running(), "the server is stopped")
    assert any((tmp_path / "data" / "appendonlydir").iterdir())


async def test_an_embedded_server_whose_guardian_was_killed_comes_back(
    start_pool: StartPool, tmp_path: Path, namespace: str, embedded: dict[str, Any]
) -> None:
    """The supervisor starts another guardian, and the pool works on."""
    pool = start_pool("--lease-ttl", "2", **embedded)
    pool.until_ready()
    killed = guardian_of(tmp_path / "data")
    assert killed is not None

    pool.until_logged(" on unix://")  # its supervisor hears later that they are ready
    (server_url,) = re.findall(r" on (unix://\S+)", pool.log)
    killed.kill()
    block_until(lambda: guardian_of(tmp_path / "data") not in (None, killed), "there is another guardian")
    block_until(lambda: ping(Path(server_url.removeprefix("unix://"))) == READY, "its server answers")

    registry = ProcessRegistry(server_url, namespace=namespace)
    pool.go("measure")
    done = await Work(registry).end_of(await Work(registry).submit("measure", "measure"))
    await registry.aclose()
    assert done.status is ProcessStatus.COMPLETED
    pool.signal()
    assert pool.exit_code() == 0
