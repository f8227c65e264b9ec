"""No output of a pool shows a password: no line of its log, no error, no report, and no list of OS processes."""

from __future__ import annotations

import sys
from urllib.parse import quote

import pytest
import redis

from tests.servers import Server
from tests.support import block_until
from tests.system.conftest import StartPool
from tests.system.pools import RunningPool

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

SHORT = ("--lease-ttl", "1", "--grace", "0", "--interrupt", "0.5", "--last-writes", "0.5")
PASSWORDS = [
    "s3cr3t/s3cr3t",
    "s3cr3t#s3cr3t",
    "s3cr3t?s3cr3t",
    "s3cr3t@s3cr3t",
    "s3cr3t:s3cr3t",
    "s3cr3t%s3cr3t s3cr3t",
]


def shown_by(pool: RunningPool) -> str:
    """Return all that a pool shows to whoever looks: its streams, and the arguments of its OS processes."""
    found = [pool.log, (pool.folder / f"{pool.name}.out").read_text()]
    if pool.started.poll() is None:
        found += [" ".join(each.cmdline()) for each in (pool.supervisor, *pool.workers)]
    return "\n".join(found)


def test_a_password_is_shown_nowhere_while_everything_goes_wrong(start_pool: StartPool) -> None:
    """The server stays away, a worker process is killed, and the drain reports what it could not do."""
    password = "/#?@:% ".join(["s3cr3t"] * 2)
    with Server("valkey") as server:
        with redis.Redis(unix_socket_path=str(server.socket)) as client:
            client.config_set("requirepass", password)
        pool = start_pool("--workers", "2", *SHORT, url=f"unix://:{quote(password, safe='')}@{server.socket}")
        pool.until_ready(2)
        seen = shown_by(pool)
        server.kill()
        pool.until_logged("worker.unavailable operation=renew")
        pool.workers[0].kill()
        pool.until_logged("pool.died")

        pool.signal()

        assert pool.exit_code() in (1, 4)
    assert "s3cr3t" not in seen + shown_by(pool)


@pytest.mark.parametrize("password", PASSWORDS, ids=range(len(PASSWORDS)))
@pytest.mark.parametrize("where", ["redis://user:{}@127.0.0.1:1/0", "unix://:{}@/nowhere/s"])
def test_a_url_whose_password_is_not_encoded_is_shown_nowhere(start_pool: StartPool, where: str, password: str) -> None:
    """Whether it can be understood or not: the pool refuses it or waits for its server, and says why without it."""
    pool = start_pool(*SHORT, url=where.format(password))
    block_until(lambda: "pool.waiting" in pool.log or pool.started.poll() is not None, "it waits or has ended")
    if pool.started.poll() is None:
        pool.signal()

    assert pool.exit_code() in (1, 2)
    assert "lash-redis: " in pool.log
    assert "s3cr3t" not in shown_by(pool)
