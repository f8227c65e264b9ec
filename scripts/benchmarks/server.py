"""A temporary server, and the work that it has done: Valkey on a unix socket, or any on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from lash_redis.core.timing import boottime_ms, pause
from lash_redis.embedded.server import server_binary


@contextmanager
def fresh_server() -> Iterator[str]:
    """Start a server, yield its URL, and stop it."""
    with tempfile.TemporaryDirectory(prefix="lash-bench-") as folder:
        path = Path(folder) / "s"
        with _running(
            [str(server_binary()), "--port", "0", "--unixsocket", str(path)], folder, f"unix://{path}"
        ) as url:
            yield url


def binaries() -> dict[str, str]:
    """Return the servers that this machine has: a name, and the path of the binary."""
    found = {"valkey": str(server_binary()), "redis": shutil.which("redis-server")}
    return {name: path for name, path in found.items() if path}


def version(binary: str) -> str:
    """Return what a server calls itself, as in ``Redis 7.0.15``."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()
    number = next(word.removeprefix("v=") for word in said if word.startswith("v="))
    return f"{said[0]} {number}"


@contextmanager
def loopback_server(binary: str) -> Iterator[str]:
    """Start a server on a free port of loopback, where clients of every language reach it; yield its URL; stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="lash-bench-") as folder:
        line = [binary, "--bind", "127.0.0.1", "--port", str(port), "--maxmemory-policy", "noeviction"]
        with _running(line, folder, f"redis://127.0.0.1:{port}/0") as url:
            yield url


@contextmanager
def _running(line: list[str], folder: str, url: str) -> Iterator[str]:
    server = subprocess.Popen([*line, "--save", "", "--dir", folder], stdout=subprocess.DEVNULL)
    try:
        _wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str) -> None:
    client = redis.Redis.from_url(url)
    until = boottime_ms() + 10_000
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if boottime_ms() > until:
                raise
            pause(0.01)
        else:
            client.close()
            return


class Work:
    """The work of a server since a moment: commands, CPU seconds, bytes of memory."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._before, self._scripts_before = self._read(), self._scripts()

    def _read(self) -> tuple[int, float, int]:
        stats = self._client.info("commandstats")
        calls = sum(each["calls"] for name, each in stats.items() if name not in _OWN_COMMANDS)
        cpu = self._client.info("cpu")
        return calls, cpu["used_cpu_user"] + cpu["used_cpu_sys"], self._client.info("memory")["used_memory"]

    def _scripts(self) -> int:
        stats = self._client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval", "fcall"))

    def scripts(self) -> int:
        """Return how often scripts were called since this object was made."""
        return self._scripts() - self._scripts_before

    def since(self) -> tuple[int, float, int]:
        """Return the commands (also those inside scripts), CPU seconds and bytes since this object was made."""
        after = self._read()
        return after[0] - self._before[0], after[1] - self._before[1], after[2] - self._before[2]


_OWN_COMMANDS = {"cmdstat_info", "cmdstat_client|setinfo", "cmdstat_hello"}
