"""A primary, its replica and the Sentinels that watch them, for tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.clusters import OnPort, free_ports, on_free_ports
from tests.support import block_until
from tests.tls import Certificate

SERVICE = "shop"


class _Sentinel(OnPort):
    """One Sentinel. It writes what it learns into its file of settings."""

    def __init__(self, kind: str, primary: OnPort, down_after_ms: int, tls: Certificate | None) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="lash-"))
        self._primary, self._down_after_ms = primary, down_after_ms
        super().__init__(kind, *free_ports(1), tls=tls)

    def command_line(self, binary: str, settings: dict[str, str]) -> list[str]:
        """Return what starts it."""
        file = self._home / "conf"
        names = ("port", "bind", "unixsocket", "dir", "logfile")
        lines = [f"{name} {text}" for name, text in settings.items() if name in names or name.startswith("tls-")] + [
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._primary.port} 2",
            f"sentinel down-after-milliseconds {SERVICE} {self._down_after_ms}",
            f"sentinel failover-timeout {SERVICE} 10000",
        ]
        file.write_text("\n".join(lines), "utf-8")
        return [binary, str(file), "--sentinel"]

    def stop(self) -> None:
        """End it and delete its folders."""
        super().stop()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def primary_port(self) -> int:
        """The port of the server that it takes for the primary."""
        return int(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])


class Watched:
    """A primary with a replica, and three Sentinels of which two must agree."""

    def __init__(self, kind: str = "valkey", down_after_ms: int = 1000, tls: Certificate | None = None) -> None:
        self._scheme = "redis" if tls is None else "rediss"
        self._running: list[OnPort] = []
        try:
            self.primary = self._started(lambda: OnPort(kind, *free_ports(1), tls=tls))
            follows = f"127.0.0.1 {self.primary.port}"
            self.replica = self._started(lambda: OnPort(kind, *free_ports(1), tls=tls, replicaof=follows))
            block_until(lambda: self._has("master_link_status", "up"), "the replica follows the primary")
            self.sentinels = [
                self._started(lambda: _Sentinel(kind, self.primary, down_after_ms, tls)) for _ in range(3)
            ]
            for each in self.sentinels:
                block_until(lambda each=each: self._is_ready(each), "a Sentinel knows the replica and the others")  # type: ignore[misc]
        except BaseException:
            self.stop()
            raise

    def _started(self, make: Callable[[], OnPort]) -> Any:
        server = on_free_ports(make)
        self._running.append(server)
        return server

    def _has(self, field: str, value: str) -> bool:
        return bool(self.replica.asked("INFO replication", field) == value)

    @staticmethod
    def _is_ready(sentinel: Any) -> bool:
        answer = sentinel.ask("SENTINEL", "MASTER", SERVICE)
        state = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
        return [int(state[name]) for name in ("num-slaves", "num-other-sentinels")] == [1, 2]

    @property
    def url(self) -> str:
        """Where clients find it."""
        return (
            f"{self._scheme}+sentinel://"
            + ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
            + f"/{SERVICE}"
        )

    def stop(self) -> None:
        """End all and delete their folders."""
        for each in self._running:
            each.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
