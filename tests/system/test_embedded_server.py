"""The embedded server with real OS processes: users that come, go, fork and die, and a guardian that dies."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
import redis

from lash_redis.app.lash import Lash
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.outcomes import Success
from lash_redis.embedded.connect import EmbeddedServer, open_embedded
from lash_redis.embedded.folders import prepare, socket_path
from lash_redis.embedded.launch import start_guardian
from lash_redis.embedded.locks import SERVER, USERS, WRITER, FileLock
from lash_redis.embedded.server import Server, server_binary
from lash_redis.registry.transport.urls import URL_VARIABLE
from lash_redis.worker.worker import Worker
from tests.support import block_until, wait_until

pytestmark = pytest.mark.system

USER = """
import os, subprocess, sys
from pathlib import Path
from lash_redis.embedded.connect import open_embedded

server = open_embedded(data=Path(sys.argv[1]))
{then}
"""
STAY = """
try:
    print(server.url, flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.stdin.read()
"""
FORK = """
print(server.url, flush=True)
if child := os.fork():
    print(child, flush=True)
else:
    assert server.is_open
sys.stdin.read()
"""
CLOSE_IN_CHILD = """
print(server.url, flush=True)
if os.fork() == 0:
    server.close()
    print("closed", flush=True)
sys.stdin.read()
"""
SPAWN = """
print(server.url, flush=True)
print(subprocess.Popen(["sleep", "60"], close_fds=False).pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a data folder with an awkward name; kill its guardians after the test."""
    folder = (tmp_path / 'dätä \'n "more" #1').resolve()
    with tempfile.TemporaryDirectory() as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        yield folder
        for guardian in guardians(folder):
            guardian.kill()
        if folder.exists():
            block_until(lambda: is_free(folder, WRITER), "no server has the data")


@pytest.fixture
def start_user(data: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a user: an OS process that opens the server, prints its URL and waits for EOF."""
    users: list[subprocess.Popen[str]] = []

    def start(then: str = STAY) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", USER.format(then=then), str(data)]
        pipe = subprocess.PIPE
        users.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True))
        return users[-1]

    yield start
    for user in users:
        with user:
            user.kill()


@pytest.fixture
def server(data: Path) -> Iterator[EmbeddedServer]:
    """Open the server in this OS process."""
    opened = open_embedded(data=data)
    yield opened
    opened.close()


def line_of(user: subprocess.Popen[str]) -> str:
    """Return the next line that a user prints."""
    assert user.stdout is not None
    return user.stdout.readline().strip()


def store_synced(url: str, value: str) -> None:
    """Store a value that even a killed server finds again: it waits for the sync, which an answer does not promise."""
    ask(url, "SET", "kept", value)
    assert ask(url, "WAITAOF", 1, 0, 5_000) == [1, 0]


def end_cleanly(user: subprocess.Popen[str]) -> None:
    """Close a user's input and wait for its end."""
    user.communicate(timeout=120)


def ask(url: str, *command: str | int) -> object:
    """Send one command over a connection of its own."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*command)


def answers(url: str, *command: str) -> Callable[[], object]:
    """Return a function that asks a server that may be starting; it returns None while the server does not answer."""

    def asked() -> object:
        with suppress(redis.ConnectionError):  # also raised while the server loads its data
            return ask(url, *command)
        return None

    return asked


def servers(data: Path) -> list[psutil.Process]:
    """Return the servers of the data: their working folder is the data folder."""
    found = psutil.process_iter(["cwd", "name"])
    return [process for process in found if process.info == {"cwd": str(data), "name": "valkey-server"}]


def guardians(data: Path) -> list[psutil.Process]:
    """Return the guardians of the data: the folder stands in their command line."""
    words = {"lash_redis.embedded.guardian", str(data)}
    return [process for process in psutil.process_iter(["cmdline"]) if words <= set(process.info["cmdline"] or ())]


def is_free(data: Path, name: str) -> bool:
    """Return whether nobody holds a lock."""
    lock = FileLock(data / name)
    try:
        return lock.try_exclusive()
    finally:
        lock.close()


def test_two_os_processes_share_one_server(
    server: EmbeddedServer, data: Path, start_user: Callable[..., subprocess.Popen[str]]
) -> None:
    """The second user connects to the server that the first one started. The server outlives the second user."""
    user = start_user()

    assert line_of(user) == server.url
    end_cleanly(user)
    assert len(servers(data)) == len(guardians(data)) == 1
    assert ask(server.url, "PING") is True


def test_the_server_evicts_nothing_and_logs_every_write(server: EmbeddedServer, data: Path) -> None:
    """Its settings are those that leases and rows need, whatever the name of the folder is."""
    settings = ask(server.url, "CONFIG", "GET", "append*", "save", "dir", "port", "maxmemory-policy", "unixsocketperm")

    assert isinstance(settings, dict)
    assert (settings["appendonly"], settings["appendfsync"], settings["save"]) == ("yes", "everysec", "")
    assert (settings["dir"], settings["port"], settings["maxmemory-policy"]) == (str(data), "0", "noeviction")
    assert settings["unixsocketperm"] == "700"


def test_the_server_stops_after_its_last_user_and_its_data_stays(data: Path) -> None:
    """Nobody has to stop it, and the next user finds the data."""
    first = open_embedded(data=data)
    ask(first.url, "SET", "kept", "yes")

    first.close()
    block_until(lambda: not servers(data) and not guardians(data), "the server and its guardian have ended")
    assert not socket_path(data).exists()

    second = open_embedded(data=data)
    assert ask(second.url, "GET", "kept") == "yes"
    second.close()


def test_an_interrupt_reaches_neither_server_nor_guardian(
    data: Path, start_user: Callable[..., subprocess.Popen[str]]
) -> None:
    """Ctrl-C goes to the whole group of the user that started the server. The server stops only after that user."""
    user = start_user()
    url = line_of(user)

    os.killpg(user.pid, signal.SIGINT)
    assert line_of(user) == "interrupted"
    assert ask(url, "SET", "drained", "yes") is True
    end_cleanly(user)

    block_until(lambda: not servers(data), "the server has ended")
    log = (data / "server.log").read_text()
    assert "server has died" not in log
    assert log.index("last user has gone") < log.index("User requested shutdown")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_guardian_ignores_the_signals_of_its_users(server: EmbeddedServer, data: Path, name: str) -> None:
    """A service manager signals every OS process of a service at once, while the users still have to drain."""
    (guardian,) = guardians(data)

    number = getattr(signal, name)
    if sys.platform == "linux":  # the kernel drops what is ignored when it is sent
        status = Path(f"/proc/{guardian.pid}/status").read_text()
        ignored = int(re.findall(r"^SigIgn:\s*([0-9a-f]+)$", status, re.MULTILINE)[0], 16)
        assert ignored & (1 << (number - 1))
    guardian.send_signal(number)

    assert ask(server.url, "PING") is True
    assert guardian.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the blocked signals from /proc")
def test_a_user_that_blocks_signals_does_not_make_its_server_block_them(data: Path) -> None:
    """A supervisor blocks signals while it starts OS processes. A server with that mask could not be stopped."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        server = open_embedded(data=data)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    for process in [*servers(data), *guardians(data)]:
        assert "SigBlk:\t0000000000000000" in Path(f"/proc/{process.pid}/status").read_text()
    server.close()


def test_a_server_that_is_killed_is_started_again(server: EmbeddedServer, data: Path) -> None:
    """Its users see a short outage, and synced data is there."""
    store_synced(server.url, "yes")
    (killed,) = servers(data)

    killed.kill()

    block_until(answers(server.url, "GET", "kept"), "the server answers again")
    assert servers(data) != [killed]


def test_a_server_that_is_asked_to_end_is_started_again(server: EmbeddedServer, data: Path) -> None:
    """The same holds for a clean end that its guardian did not ask for."""
    (ended,) = servers(data)

    ended.terminate()

    block_until(lambda: servers(data) not in ([], [ended]), "another server runs")
    block_until(answers(server.url, "PING"), "the server answers again")


def test_a_new_user_after_a_killed_guardian_finds_the_data(server: EmbeddedServer, data: Path) -> None:
    """The server ends with its guardian. The next user starts both again, also for the users that were there before."""
    ask(server.url, "SET", "kept", "yes")
    killed = guardians(data)

    killed[0].kill()
    block_until(lambda: is_free(data, SERVER), "the guardian has died")
    new_user = open_embedded(data=data)

    assert ask(server.url, "GET", "kept") == ask(new_user.url, "GET", "kept") == "yes"
    assert len(servers(data)) == len(guardians(data)) == 1
    assert guardians(data) != killed
    new_user.close()


def test_a_user_can_start_the_server_again(server: EmbeddedServer, data: Path) -> None:
    """A user that outlives a guardian need not wait for a new user."""
    ask(server.url, "SET", "kept", "yes")

    guardians(data)[0].kill()
    block_until(lambda: not servers(data), "the server has ended too")
    server.ensure_answering()

    assert ask(server.url, "GET", "kept") == "yes"


async def test_a_lash_and_a_worker_outlive_a_guardian_that_was_killed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a pool too: whoever finds nobody listening starts the server again, async, plain, or as a worker."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.setenv("LASH_REDIS_DATA", str(data))
    lash = Lash()

    @lash.task(recovery="rerunnable", name="echo")
    async def echo(number: int) -> int:
        return number

    async def kill() -> None:
        await asyncio.to_thread(store_synced, str(lash.registry.address.url), "yes")
        (guardian,) = guardians(data)
        guardian.kill()
        await wait_until(lambda: not servers(data), "the server has ended too")

    async with lash:
        worker = Worker(lash.registry, tasks=lash.tasks)
        running = asyncio.create_task(worker.run())
        await wait_until(lambda: worker.probe.is_at_rest, "it waits for work")
        await kill()
        process = await echo.submit(1)
        assert await process.outcome(timeout=60) == Success(1)
        await kill()
        process_id = await asyncio.to_thread(lambda: echo.blocking.submit(2).id)
        assert await lash.process(process_id).outcome(timeout=60) == Success(2)
        await kill()
        await wait_until(lambda: servers(data), "the worker has started it again")
        assert not (await worker.drain()).deferred
        await running


def test_no_second_server_starts_before_an_orphan_has_ended(server: EmbeddedServer, data: Path) -> None:
    """Two servers would ruin one append-only file, so that the next guardian waits for the end of the orphan."""
    ask(server.url, "SET", "kept", "yes")
    (orphan,), (killed,) = servers(data), guardians(data)
    orphan.suspend()

    killed.kill()
    block_until(lambda: is_free(data, SERVER), "the guardian has died")
    assert start_guardian(data)
    block_until(lambda: "waiting for the end of" in (data / "server.log").read_text(), "the next guardian waits")
    assert servers(data) == [orphan]

    orphan.resume()
    server.ensure_answering()
    assert ask(server.url, "GET", "kept") == "yes"
    assert orphan not in servers(data)


def test_an_orphan_that_the_kernel_does_not_end_is_shut_down(data: Path) -> None:
    """On macOS a server outlives its guardian. The next guardian shuts it down."""
    prepare(data)
    writer = FileLock(data / WRITER)
    assert writer.try_exclusive()
    orphan = Server(data, socket_path(data), server_binary(), writer)
    writer.close()
    url = f"unix://{quote(str(socket_path(data)))}"
    block_until(answers(url, "SET", "kept", "yes"), "the orphan answers")

    new_user = open_embedded(data=data)

    assert orphan.has_died()
    assert len(servers(data)) == 1
    assert ask(new_user.url, "GET", "kept") == "yes"
    new_user.close()


def test_ten_that_start_at_once_end_up_with_one_server(
    data: Path, start_user: Callable[..., subprocess.Popen[str]]
) -> None:
    """A user whose guardian does not get the lock connects to the server of the one that got it."""
    users = [start_user() for _ in range(10)]

    urls = {line_of(user) for user in users}

    assert len(urls) == 1
    assert "" not in urls
    assert len(servers(data)) == len(guardians(data)) == 1


def test_a_stale_socket_is_no_obstacle(data: Path) -> None:
    """After a power loss there is a socket file at which no server listens."""
    prepare(data)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(socket_path(data)))

    server = open_embedded(data=data)

    assert ask(server.url, "PING") is True
    server.close()


def test_a_deleted_data_folder_ends_its_server(server: EmbeddedServer, data: Path) -> None:
    """A user who deletes the data begins with empty data."""
    store_synced(server.url, "yes")
    (orphan,) = servers(data)

    shutil.rmtree(data)
    empty = open_embedded(data=data)

    assert ask(empty.url, "GET", "kept") is None
    block_until(lambda: not orphan.is_running(), "the server of the old data has ended")
    assert ask(empty.url, "PING") is True
    empty.close()


def test_a_program_that_a_user_starts_does_not_keep_the_server(
    data: Path, start_user: Callable[..., subprocess.Popen[str]]
) -> None:
    """A command that a task started may outlive its worker process. It is no user."""
    user = start_user(SPAWN)
    line_of(user)
    child = psutil.Process(int(line_of(user)))
    assert not is_free(data, USERS)

    user.kill()

    block_until(lambda: is_free(data, USERS), "there is no user")
    assert child.is_running()
    child.kill()


def test_a_forked_user_is_a_user_until_it_ends(data: Path, start_user: Callable[..., subprocess.Popen[str]]) -> None:
    """The server does not stop under it, also if the parent, which opened the server, ends first."""
    user = start_user(FORK)
    url = line_of(user)
    child = psutil.Process(int(line_of(user)))

    user.kill()
    user.wait()
    assert not is_free(data, USERS)
    assert ask(url, "PING") is True
    child.kill()
    block_until(lambda: is_free(data, USERS), "there is no user")


def test_a_forked_user_may_close_its_use_alone(data: Path, start_user: Callable[..., subprocess.Popen[str]]) -> None:
    """What one of the two closes, the other keeps."""
    user = start_user(CLOSE_IN_CHILD)
    line_of(user)
    line_of(user)
    assert not is_free(data, USERS)
    user.kill()
    block_until(lambda: is_free(data, USERS), "there is no user")


def test_an_os_process_is_a_user_until_it_has_closed_every_use(server: EmbeddedServer, data: Path) -> None:
    """Each use counts by itself, and closing one twice does not end another."""
    second = open_embedded(data=data)
    assert second.url == server.url

    server.close()
    server.close()
    assert (server.is_open, second.is_open) == (False, True)
    assert not is_free(data, USERS)

    second.close()
    assert is_free(data, USERS)


def test_a_server_that_cannot_start_is_shown_with_its_log(data: Path) -> None:
    """The message holds the reason from the log, and comes long before the timeout."""
    (data / "appendonlydir").mkdir(parents=True)
    (data / "appendonlydir" / "appendonly.aof.manifest").write_text("this is no manifest\n")

    with pytest.raises(RegistryUnavailable, match=r"(?s)does not stay alive.*server\.log.*this is no manifest"):
        open_embedded(data=data)
