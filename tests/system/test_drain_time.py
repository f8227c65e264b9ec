"""A pool ends a second before the time that it prints, whatever hangs: its server, the way to it, or a name."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lash_redis.core.timing import boottime_ms
from lash_redis.registry.registry import ProcessRegistry
from tests.proxy import Proxy
from tests.repo.tree import ROOT
from tests.support import block_until
from tests.system.conftest import StartPool
from tests.system.pools import RunningPool, Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="looks for OS processes")]

SHORT = ("--lease-ttl", "1", "--grace", "0.5", "--interrupt", "0.5", "--last-writes", "0.5")


def ends_in_time(pool: RunningPool, record: Callable[[str, object], None]) -> int:
    """Stop a pool and see it end a second before the time that it prints; return its exit code."""
    began = boottime_ms()
    pool.signal()
    code = pool.exit_code_in_time()
    record("took_ms", boottime_ms() - began)
    return code


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    """Return a proxy before the test's server."""
    with Proxy(url) as proxy:
        yield proxy


async def test_an_embedded_server_that_hangs_does_not_delay_the_end_of_a_pool(
    start_pool: StartPool, tmp_path: Path, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Although the supervisor is about to find out whether the server has to be started again."""
    with tempfile.TemporaryDirectory() as runtime:
        environment = {"XDG_RUNTIME_DIR": runtime, "LASH_REDIS_DATA": str(tmp_path / "data")}
        pool = start_pool("--workers", "2", *SHORT, url=None, environment=environment)
        pool.until_ready(2)
        pool.until_logged(" on unix://")  # its supervisor hears later that they are ready
        (url,) = re.findall(r" on (unix://\S+)", pool.log)
        async with contextlib.aclosing(ProcessRegistry(url, namespace)) as registry:
            pool.until_begun(await Work(registry).submit("pay_stubborn", "pay_stubborn"))
        (server,) = servers_at(url)
        server.send_signal(signal.SIGSTOP)
        try:
            pool.until_logged("worker.unavailable operation=renew")

            code = ends_in_time(pool, record_property)
        finally:
            server.send_signal(signal.SIGCONT)
    assert code == 4
    assert "pay_stubborn" in {left["process_id"] for left in pool.report()["deferred"]}


def servers_at(url: str) -> list[psutil.Process]:
    """Return the OS processes that were started to serve at this socket."""
    path, found = url.removeprefix("unix://"), []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(each.cmdline())
            if path in words and "guardian" not in words:
                found.append(each)
    return found


async def test_a_server_that_says_nothing_any_more_does_not_delay_the_end_of_a_pool(
    start_pool: StartPool, work: Work, proxy: Proxy, record_property: Callable[[str, object], None]
) -> None:
    """Its connections stay open and take what is sent."""
    pool = start_pool("--workers", "2", *SHORT, url=proxy.url)
    pool.until_ready(2)
    pool.until_begun(await work.submit("pay_stubborn", "pay_stubborn"))
    proxy.black_hole()
    pool.until_logged("worker.unavailable operation=renew")

    assert ends_in_time(pool, record_property) == 4


async def test_a_worker_process_that_starts_while_its_pool_drains_does_not_delay_the_end(
    start_pool: StartPool, work: Work, proxy: Proxy, record_property: Callable[[str, object], None]
) -> None:
    """It waits for a server that says nothing, as its supervisor does to record the death of the one before it."""
    pool = start_pool("--workers", "2", *SHORT, url=proxy.url)
    pool.until_ready(2)
    pool.until_begun(await work.submit("pay_stubborn", "pay_stubborn"))
    before = proxy.accepted
    idle = next(each for each in pool.workers if each.pid != pool.begun("pay_stubborn")[0])
    idle.kill()
    pool.until_logged("pool.spawned", 3)
    block_until(lambda: proxy.accepted > before, "it opens the registry")
    proxy.black_hole()

    assert ends_in_time(pool, record_property) in (1, 4)


# Python imports it at its start. Once the file is there, no name is resolved any more.
NO_NAMES = """
import socket, time, pathlib
resolve = socket.getaddrinfo
def hang(*args, **options):
    while pathlib.Path("no-names").exists():
        time.sleep(0.1)
    return resolve(*args, **options)
socket.getaddrinfo = hang
"""


async def test_a_name_that_does_not_resolve_does_not_delay_the_end_of_a_pool(
    start_pool: StartPool, url: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Asking for it blocks a thread, for which nothing waits."""
    (tmp_path / "sitecustomize.py").write_text(NO_NAMES)
    with Proxy(url, tcp=True) as proxy:
        named = proxy.url.replace("127.0.0.1", "localhost")
        pool = start_pool("--workers", "2", *SHORT, url=named, environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
        pool.until_ready(2)
        (tmp_path / "no-names").touch()

        def is_cut_off() -> bool:
            proxy.cut_all()  # again, since a connection whose name was resolved before may come after
            return "worker.unavailable operation=renew" in pool.log

        block_until(is_cut_off, "the supervisor cannot renew")

        assert ends_in_time(pool, record_property) == 4
