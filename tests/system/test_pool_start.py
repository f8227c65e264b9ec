"""Starting a pool: what it says, and how it refuses what cannot be started."""

from __future__ import annotations

import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lash_redis.core.model import ProcessStatus
from lash_redis.embedded.launch import READY, ping
from lash_redis.registry.registry import ProcessRegistry
from tests.support import block_until
from tests.system.conftest import StartPool
from tests.system.pools import Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

FAKE = """
import fakeredis
from lash_redis import Lash
lash = Lash(fakeredis.FakeAsyncRedis())
"""


@pytest.mark.parametrize(
    ("module", "target", "said"),
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
        ("", "app", "expected what to run as MODULE:ATTR"),
    ],
)
def test_what_cannot_be_run_is_refused_in_clear_words(
    start_pool: StartPool, tmp_path: Path, module: str, target: str, said: str
) -> None:
    """Exit code 2 and the reason, once and without our own frames: trying again would not help."""
    (tmp_path / "app.py").write_text(module)
    pool = start_pool("--workers", "2", target=target)

    assert pool.exit_code() == 2
    told = pool.log[pool.log.index("lash-redis: ") :]
    assert said in told
    assert told.count(said) == 1
    assert "lash_redis/pool" not in told


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--workers", "0"), "expected workers to be an integer from 1 to 512, got 0"),
        (("--concurrency", "0"), "expected concurrency to be"),
        (("--queues", "a,,b"), "expected queue to be"),
        (("--queues", "a,a"), "expected queues to be distinct"),
        (("--lease-ttl", "0.5"), "expected lease_ttl_ms to be an integer from 1000"),
        (("--grace", "-1"), "expected grace_ms to be"),
        (("--grace", "soon"), "expected a number of seconds, got 'soon'"),
        (("--name", "two words"), "expected name to be"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_started(
    start_pool: StartPool, option: tuple[str, str], said: str
) -> None:
    """The message names the value and what is allowed."""
    pool = start_pool(*option)

    assert pool.exit_code() == 2
    assert said in pool.log
    assert "pool.spawned" not in pool.log


async def test_a_namespace_with_another_partition_count_is_refused(
    start_pool: StartPool, tmp_path: Path, work: Work
) -> None:
    """Trying again would not help: exit code 2, and the message names both counts."""
    await work.registry.open()
    (tmp_path / "app.py").write_text(
        "import os\nfrom lash_redis import Lash\nlash = Lash(namespace=os.environ['POOL_NAMESPACE'], partitions=2)\n"
    )
    pool = start_pool(target="app:lash")

    assert pool.exit_code() == 2
    assert "expected partitions to be 1" in pool.log


def test_a_url_that_makes_no_sense_is_refused(start_pool: StartPool) -> None:
    """Also where it is redis-py that does not understand it."""
    pool = start_pool(url="redis://127.0.0.1:1/0?no_such_option=1")

    assert pool.exit_code() in (1, 2)
    assert "lash-redis: " in pool.log


def test_a_server_that_does_not_answer_is_a_fault(start_pool: StartPool, tmp_path: Path) -> None:
    """Exit code 1: whoever runs the pool may try again."""
    pool = start_pool(url=f"unix://{tmp_path}/nothing")

    assert pool.exit_code() == 1
    assert "lash-redis: " in pool.log
    assert "unavailable" in pool.log


def test_a_pool_says_what_its_stop_needs_and_how_durable_its_server_is(start_pool: StartPool) -> None:
    """One line for whoever writes the unit file: all phases of the drain and a margin."""
    pool = start_pool("--workers", "2", "--grace", "20", "--queues", "a,b")
    pool.until_ready(2)

    assert "2 worker processes for a,b of namespace test-" in pool.log
    assert "durability: none" in pool.log
    assert "allow 30 s when you stop it" in pool.log


def test_no_password_is_in_an_argument_list_or_a_log(start_pool: StartPool, url: str) -> None:
    """Whoever can see a list of OS processes, or read a log, learns no secret."""
    pool = start_pool(url=f"{url}?password=s3cr3t&username=default")
    pool.until_ready()
    (worker,) = pool.workers

    assert "s3cr3t" not in " ".join([*worker.cmdline(), *pool.supervisor.cmdline()])
    assert "s3cr3t" not in pool.log


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return how to start a pool on an embedded server of the test's own."""
    with tempfile.TemporaryDirectory() as runtime:
        yield {"url": None, "environment": {"XDG_RUNTIME_DIR": runtime, "LASH_REDIS_DATA": str(tmp_path / "data")}}


def guardian_of(data: Path) -> psutil.Process | None:
    """Return who guards the server of a data folder."""
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
    """Without a URL the project's own server is used, as long as any supervisor lives; then it is stopped."""
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

    block_until(lambda: not guardian.is_running(), "the server is stopped", 15)
    assert any((tmp_path / "data" / "appendonlydir").iterdir())


async def test_an_embedded_server_whose_guardian_was_killed_comes_back(
    start_pool: StartPool, tmp_path: Path, namespace: str, embedded: dict[str, Any]
) -> None:
    """The supervisor, which outlives it, starts another one, and the pool works on."""
    pool = start_pool("--lease-ttl", "2", **embedded)
    pool.until_ready()
    killed = guardian_of(tmp_path / "data")
    assert killed is not None

    (place,) = re.findall(r" on (unix://\S+)", pool.log)
    killed.kill()
    block_until(lambda: guardian_of(tmp_path / "data") not in (None, killed), "another one guards", 20)
    block_until(lambda: ping(Path(place.removeprefix("unix://"))) == READY, "its server answers", 20)

    registry = ProcessRegistry(place, namespace=namespace)
    pool.go("measure")
    done = await Work(registry).end_of(await Work(registry).submit("measure", "measure"))
    await registry.aclose()
    assert done.status is ProcessStatus.COMPLETED
    pool.signal()
    assert pool.exit_code() == 0
