"""What a pool is told. Checked once, before anything is started."""

from __future__ import annotations

import platform
import re

import msgspec

from lash_redis.core.checks import checked_id, checked_int
from lash_redis.core.errors import SettingsError
from lash_redis.worker.settings import WorkerSettings

_TARGET = re.compile(r"[\w.]+:[\w.]+")


def node_name() -> str:
    """Return what this machine calls itself, as far as it may be part of an owner id."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:128] or "host"


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one pool.

    Attributes:
        target: where the ``Lash`` is, ``MODULE:ATTR``.
        workers: how many worker processes, 1 to 512.
        name: its owners are called ``name/1`` and so on; names are reused and prove nothing.
        worker: what each worker process is told.

    Raises:
        SettingsError: a value is outside what is allowed.
    """

    target: str
    workers: int = 1
    name: str = msgspec.field(default_factory=node_name)
    worker: WorkerSettings = msgspec.field(default_factory=WorkerSettings)

    def __post_init__(self) -> None:
        if not _TARGET.fullmatch(self.target):
            raise SettingsError(f"expected what to run as MODULE:ATTR, like shop.tasks:lash, got {self.target!r}")
        checked_int("workers", self.workers, at_least=1, at_most=512)
        checked_id("name", self.owner_id("supervisor"))

    def owner_id(self, slot: str) -> str:
        """Return the owner id of one slot, the same for every life in it."""
        return f"{self.name}/{slot}"
