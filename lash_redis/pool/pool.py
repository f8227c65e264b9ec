"""What one life of a worker process needs of its pool, and what it tells the pool at its end."""

from __future__ import annotations

from typing import Protocol

import msgspec

from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import DrainReport
from lash_redis.pool import messages
from lash_redis.pool.connection import PoolConnection
from lash_redis.pool.drain import PoolDrain
from lash_redis.pool.first_words import FirstWords
from lash_redis.pool.settings import PoolSettings
from lash_redis.registry.registry import ProcessRegistry


class LifeEnd(msgspec.Struct, frozen=True):
    """How a life ended.

    Attributes:
        status: exit status or signal, in words.
        lived_ms: since it was ready, None if it never was.
        report: of its drain, whether it drained itself or the supervisor finished the drain in its name.
        is_fault: it ended on its own, without having drained.
        fatal: why it could not start, None if it could.
    """

    status: str
    lived_ms: int | None = None
    report: DrainReport = DrainReport()
    is_fault: bool = False
    fatal: messages.Fatal | None = None

    @property
    def has_left(self) -> bool:
        """It was ready, and has drained by itself."""
        return self.lived_ms is not None and not self.is_fault

    @property
    def has_bad_settings(self) -> bool:
        """It could not start for a reason that another try would meet again."""
        return self.fatal is not None and self.fatal.exit_code == messages.BAD_SETTINGS


class Pool(Protocol):
    """What a life needs of its pool."""

    settings: PoolSettings
    supervisor: LeaseOwner
    connection: PoolConnection
    drain: PoolDrain
    first_words: FirstWords

    def on_registry_opened(self, registry: ProcessRegistry) -> None:
        """Take notice that the pool's registry was opened just now."""

    def on_waiting(self, reason: str) -> None:
        """Take notice that a worker process, or the pool itself, waits for the server, and why."""

    def on_hello(self, serves: messages.Serves) -> None:
        """Take notice that a worker process has found its server, and what it runs."""

    def on_ready(self, version: str) -> None:
        """Take notice that a worker process claims, and of which version of this package it is."""

    def on_life_end(self, end: LifeEnd, failed_starts: int) -> None:
        """Take notice that a worker process has ended, and how many in a row of its slot never became ready."""
