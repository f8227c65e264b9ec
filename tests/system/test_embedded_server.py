"""The embedded server with real OS processes: users that come, go, fork and die, and a guardian that may die too."""

from __future__ import annotations

import os
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

from lash_redis.core.errors import RegistryUnavailable
from lash_redis.embedded.connect import EmbeddedServer, open_embedded
from lash_redis.embedded.launch import start_guardian
from lash_redis.embedded.locks import SERVER, USERS, WRITER, FileLock
from lash_redis.embedded.project import prepare, socket_path
from lash_redis.embedded.server import Server, server_binary
from tests.support import block_until

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
sys.stdin.read()
"""
SPAWN = """
print(server.url, flush=True)
print(subprocess.Popen(["sleep", "60"], close_fds=False).pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a data folder with an awkward name; whoever still serves it is killed at the end."""
    folder = (tmp_path / 'dätä \'n "more" #1').resolve()
    with tempfile.TemporaryDirectory() as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        yield folder
        for guardian in guardians(folder):
            guardian.kill()
        if folder.exists():
            block_until(lambda: is_free(folder, WRITER), "nobody serves the data")


@pytest.fixture
def start_user(data: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return what starts an OS process that opens the server, prints its URL, and stays until its input ends."""
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


def keep(url: str, value: str) -> None:
    """Store a value that even a killed server finds again: it is synced, which an answer alone does not promise."""
    ask(url, "SET", "kept", value)
    assert ask(url, "WAITAOF", 1, 0, 5_000) == [1, 0]


def leave(user: subprocess.Popen[str]) -> None:
    """Let a user end by itself."""
    user.communicate(timeout=10)


def ask(url: str, *command: str | int) -> object:
    """Send one command over a connection of its own."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*command)


def eventually(url: str, *command: str) -> Callable[[], object]:
    """Return the question whether the server answers a command, now that it may be on its way up."""

    def answer() -> object:
        with suppress(redis.ConnectionError):  # busy loading is one too
            return ask(url, *command)
        return None

    return answer


def servers(data: Path) -> list[psutil.Process]:
    """Return the OS processes that serve the data: they work in its folder."""
    looks = psutil.process_iter(["cwd", "name"])
    return [process for process in looks if process.info == {"cwd": str(data), "name": "valkey-server"}]


def guardians(data: Path) -> list[psutil.Process]:
    """Return the guardians of the data: it stands in their command line."""
    told = {"lash_redis.embedded.guardian", str(data)}
    return [process for process in psutil.process_iter(["cmdline"]) if told <= set(process.info["cmdline"] or ())]


def is_free(data: Path, name: str) -> bool:
    """Say whether nobody holds a lock."""
    lock = FileLock(data / name)
    try:
        return lock.try_alone()
    finally:
        lock.close()


def test_two_os_processes_share_one_server(
    server: EmbeddedServer, data: Path, start_user: Callable[..., subprocess.Popen[str]]
) -> None:
    """The second to come connects to what the first one started, and goes without taking it along."""
    user = start_user()

    assert line_of(user) == server.url
    leave(user)
    assert len(servers(data)) == len(guardians(data)) == 1
    assert ask(server.url, "PING") is True


def test_the_server_evicts_nothing_and_logs_every_write(server: EmbeddedServer, data: Path) -> None:
    """Its settings are those that leases and rows need, whatever the name of the folder."""
    told = ask(server.url, "CONFIG", "GET", "append*", "save", "dir", "port", "maxmemory-policy", "unixsocketperm")

    assert isinstance(told, dict)
    assert (told["appendonly"], told["appendfsync"], told["save"]) == ("yes", "everysec", "")
    assert (told["dir"], told["port"], told["maxmemory-policy"]) == (str(data), "0", "noeviction")
    assert told["unixsocketperm"] == "700"


def test_the_server_stops_after_its_last_user_and_its_data_stays(data: Path) -> None:
    """Nobody has to stop it, and the next one to come finds everything."""
    first = open_embedded(data=data)
    ask(first.url, "SET", "kept", "yes")

    first.close()
    block_until(lambda: not servers(data) and not guardians(data), "the server and its guardian have gone")
    assert not socket_path(data).exists()

    second = open_embedded(data=data)
    assert ask(second.url, "GET", "kept") == "yes"
    second.close()


def test_an_interrupt_reaches_neither_server_nor_guardian(
    data: Path, start_user: Callable[..., subprocess.Popen[str]]
) -> None:
    """Ctrl-C goes to the whole group of whoever started the server; it stops when that one has left, and no earlier."""
    user = start_user()
    url = line_of(user)

    os.killpg(user.pid, signal.SIGINT)
    assert line_of(user) == "interrupted"
    assert ask(url, "SET", "drained", "yes") is True
    leave(user)

    block_until(lambda: not servers(data), "the server has gone")
    log = (data / "server.log").read_text()
    assert "server has died" not in log
    assert log.index("last user has gone") < log.index("User requested shutdown")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_guardian_is_deaf(server: EmbeddedServer, data: Path, name: str) -> None:
    """A service manager signals every OS process of a service at once, and the users still have to drain."""
    (guardian,) = guardians(data)

    guardian.send_signal(getattr(signal, name))

    assert guardian.is_running()
    assert ask(server.url, "PING") is True


@pytest.mark.skipif(sys.platform != "linux", reason="reads the blocked signals from /proc")
def test_a_user_that_blocks_signals_does_not_make_its_server_block_them(data: Path) -> None:
    """A supervisor blocks signals while it starts others; a server that inherited that could not be stopped."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        server = open_embedded(data=data)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    for process in [*servers(data), *guardians(data)]:
        assert "SigBlk:\t0000000000000000" in Path(f"/proc/{process.pid}/status").read_text()
    server.close()


def test_a_server_that_is_killed_is_started_again(server: EmbeddedServer, data: Path) -> None:
    """Users see a short outage, and what it had synced is there."""
    keep(server.url, "yes")
    (killed,) = servers(data)

    killed.kill()

    block_until(eventually(server.url, "GET", "kept"), "the server answers again")
    assert servers(data) != [killed]


def test_a_server_that_is_asked_to_end_is_started_again(server: EmbeddedServer, data: Path) -> None:
    """The same for a clean end that its guardian did not want."""
    (ended,) = servers(data)

    ended.terminate()

    block_until(lambda: servers(data) not in ([], [ended]), "another server runs")
    block_until(eventually(server.url, "PING"), "the server answers again")


def test_a_newcomer_after_a_killed_guardian_finds_the_data(server: EmbeddedServer, data: Path) -> None:
    """The server goes with its guardian, and the next to come brings both back, for those who were there too."""
    ask(server.url, "SET", "kept", "yes")
    killed = guardians(data)

    killed[0].kill()
    block_until(lambda: is_free(data, SERVER), "the guardian has died")
    newcomer = open_embedded(data=data)

    assert ask(server.url, "GET", "kept") == ask(newcomer.url, "GET", "kept") == "yes"
    assert len(servers(data)) == len(guardians(data)) == 1
    assert guardians(data) != killed
    newcomer.close()


def test_a_user_can_bring_the_server_back(server: EmbeddedServer, data: Path) -> None:
    """Those who outlive a guardian need not wait for somebody to come."""
    ask(server.url, "SET", "kept", "yes")

    guardians(data)[0].kill()
    block_until(lambda: not servers(data), "the server has gone too")
    server.ensure_answering()

    assert ask(server.url, "GET", "kept") == "yes"


def test_no_second_server_starts_before_an_orphan_has_ended(server: EmbeddedServer, data: Path) -> None:
    """Two servers on one append-only file would ruin it, so that the next guardian waits for the orphan's end."""
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


def test_an_orphan_that_no_kernel_ends_is_asked_to(data: Path) -> None:
    """On macOS a server outlives its guardian, and makes room for the next one's all the same."""
    prepare(data)
    writer = FileLock(data / WRITER)
    assert writer.try_alone()
    orphan = Server(data, socket_path(data), server_binary(), writer)
    writer.close()
    url = f"unix://{quote(str(socket_path(data)))}"
    block_until(eventually(url, "SET", "kept", "yes"), "the orphan serves")

    newcomer = open_embedded(data=data)

    assert orphan.has_died()
    assert len(servers(data)) == 1
    assert ask(newcomer.url, "GET", "kept") == "yes"
    newcomer.close()


def test_ten_that_start_at_once_end_up_with_one_server(
    data: Path, start_user: Callable[..., subprocess.Popen[str]]
) -> None:
    """Whoever does not get the lock connects to the server of the one who got it."""
    users = [start_user() for _ in range(10)]

    urls = {line_of(user) for user in users}

    assert len(urls) == 1
    assert "" not in urls
    assert len(servers(data)) == len(guardians(data)) == 1


def test_a_stale_socket_is_no_obstacle(data: Path) -> None:
    """A machine that lost power leaves a socket that nobody listens at."""
    prepare(data)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(socket_path(data)))

    server = open_embedded(data=data)

    assert ask(server.url, "PING") is True
    server.close()


def test_a_deleted_data_folder_ends_its_server(server: EmbeddedServer, data: Path) -> None:
    """Whoever deletes the data to start afresh does start afresh."""
    keep(server.url, "yes")
    (orphan,) = servers(data)

    shutil.rmtree(data)
    afresh = open_embedded(data=data)

    assert ask(afresh.url, "GET", "kept") is None
    block_until(lambda: not orphan.is_running(), "the server of the old data has gone")
    assert ask(afresh.url, "PING") is True
    afresh.close()


@pytest.mark.parametrize("then", [FORK, SPAWN], ids=["forked", "spawned"])
def test_a_child_of_a_user_does_not_keep_the_server(
    data: Path, start_user: Callable[..., subprocess.Popen[str]], then: str
) -> None:
    """What a task started may outlive its worker process, and is no user."""
    user = start_user(then)
    line_of(user)
    child = psutil.Process(int(line_of(user)))
    assert not is_free(data, USERS)

    user.kill()

    block_until(lambda: is_free(data, USERS), "nobody counts as a user")
    assert child.is_running()
    child.kill()


def test_an_os_process_is_a_user_until_its_last_opening_is_closed(server: EmbeddedServer, data: Path) -> None:
    """Each opening counts for itself, and closing twice takes nothing from the others."""
    second = open_embedded(data=data)
    assert second.url == server.url

    server.close()
    server.close()
    assert (server.is_open, second.is_open) == (False, True)
    assert not is_free(data, USERS)

    second.close()
    assert is_free(data, USERS)


def test_a_server_that_cannot_start_is_shown_with_its_log(data: Path) -> None:
    """The message holds what the server said about it, and comes well before patience ends."""
    (data / "appendonlydir").mkdir(parents=True)
    (data / "appendonlydir" / "appendonly.aof.manifest").write_text("this is no manifest\n")

    with pytest.raises(RegistryUnavailable, match=r"(?s)does not stay alive.*server\.log.*this is no manifest"):
        open_embedded(data=data)
