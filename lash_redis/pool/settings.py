"""The settings of a pool: names, defaults, checks and flags, for the command line and the reference."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from lash_redis.core.checks import Check, checked_id, checked_task_name, integer
from lash_redis.core.errors import SettingsError
from lash_redis.core.fields import check_fields, fields_of
from lash_redis.core.liveness import node_name
from lash_redis.core.settings import Setting
from lash_redis.worker.settings import WorkerSettings, checked_names

_TARGET = re.compile(r"[\w.]+:[\w.]+")


def _checked_target(_what: str, value: object) -> str:
    if not isinstance(value, str) or not _TARGET.fullmatch(value):
        raise SettingsError(f"expected what to run as MODULE:ATTR, like shop.tasks:lash, got {value!r}")
    return value


def _checked_name(what: str, value: object) -> str:
    name = value or node_name()
    checked_id(what, _owner_id(name, "supervisor"))
    return str(name)


def _checked_tasks(what: str, value: object) -> tuple[str, ...]:
    return checked_names(what, value, checked_task_name)


def _owner_id(name: object, slot: str) -> str:
    return f"{name}/{slot}"


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one pool, and those of its workers. docs/settings.md explains each.

    Raises:
        SettingsError: a value is outside what is allowed.
    """

    target: Annotated[
        str,
        Setting(
            "where the Lash is whose tasks are run, like shop.tasks:lash",
            Check("MODULE:ATTR", _checked_target),
            "target",
            "MODULE:ATTR",
        ),
    ]
    workers: Annotated[int, Setting("worker processes", integer(1, 512), "--workers", "N")] = 1
    name: Annotated[
        str,
        Setting(
            "owners are called NAME/1 and so on",
            Check("1 to 245 characters of [A-Za-z0-9._:/@+-]", _checked_name),
            "--name",
            "NAME",
            default="the machine's name",
        ),
    ] = ""
    tasks: Annotated[
        tuple[str, ...],
        Setting(
            "tasks to serve, by their names",
            Check("names of tasks, all distinct", _checked_tasks),
            "--tasks",
            "A,B",
            default="all of the Lash",
        ),
    ] = ()
    worker: WorkerSettings = msgspec.field(default_factory=WorkerSettings)

    def __post_init__(self) -> None:
        check_fields(self, POOL_SETTINGS)

    def owner_id(self, slot: str) -> str:
        """Return the owner id of one slot, the same for every incarnation in it."""
        return _owner_id(self.name, slot)


POOL_SETTINGS = fields_of(PoolSettings, Setting)
