"""The settings of a pool: names, defaults, checks and flags, for the command line and the reference."""

from __future__ import annotations

import importlib.util
import re
from typing import Annotated

import msgspec

from lash_redis.core.checks import Check, checked_bool, checked_names, checked_task_name, integer, matching
from lash_redis.core.error_text import MAX_SHOWN, shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.fields import check_fields, fields_of
from lash_redis.core.liveness import node_name
from lash_redis.core.settings import Setting
from lash_redis.registry.transport.url_forms import checked_url
from lash_redis.registry.transport.urls import URL_VARIABLE
from lash_redis.worker.settings import WorkerSettings

_MODULE = re.compile(r"[\w-]+(\.[\w-]+)*")
_TARGET = re.compile(rf"{_MODULE.pattern}(:\w+(\.\w+)*)?")
_SOURCE = re.compile(r"\.py(?=:|$)")

# An owner id has a slash and ten more characters at most behind it.
_NAME = matching(r"[A-Za-z0-9._:/@+-]{1,245}", "1 to 245 characters of [A-Za-z0-9._:/@+-]")


def _checked_target(_what: str, value: object) -> str:
    if isinstance(value, str) and _TARGET.fullmatch(value) and not _SOURCE.search(value):
        return value
    raise SettingsError(f"expected what to run as MODULE:ATTR, like shop.tasks:lash, got {shown(value)}{_meant(value)}")


def _meant(value: object) -> str:
    """Return the target that somebody may have meant who gave the path of a file, or a relative module."""
    if not isinstance(value, str) or len(value) > MAX_SHOWN:
        return ""
    module, _, path = _SOURCE.sub("", value).partition(":")
    guess = f"{module.replace('/', '.').strip('.')}:{path or 'lash'}"
    why = ": the module's name must be absolute" if module.startswith(".") and "/" not in module else ""
    return f"{why}; did you mean {guess}?" if _TARGET.fullmatch(guess) else ""


def _checked_module(value: object) -> str:
    if isinstance(value, str) and _MODULE.fullmatch(value) and not _SOURCE.search(value):
        return value
    meant = _meant(value).replace(":lash", "")
    raise SettingsError(f"expected a module as Python imports it, like shop.tasks, got {shown(value)}{meant}")


def _checked_modules(what: str, value: object) -> tuple[str, ...]:
    return checked_names(what, value, _checked_module)


def _checked_url(_what: str, value: object) -> str | None:
    return None if value is None else checked_url(value if isinstance(value, str) else "")


def _checked_name(what: str, value: object) -> str:
    return _NAME.checked(what, value or node_name())


def _checked_tasks(what: str, value: object) -> tuple[str, ...]:
    return checked_names(what, value, checked_task_name)


def _checked_reload(what: str, value: object) -> bool:
    if checked_bool(what, value) and importlib.util.find_spec("watchfiles") is None:
        raise SettingsError("expected watchfiles to be installed for --reload, found none: pip install watchfiles")
    return value is True


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
            "where the Lash is whose tasks are run, like shop.tasks:lash; the module alone if it has one Lash",
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
            Check(_NAME.allowed, _checked_name),
            "--name",
            "NAME",
            default="the machine's name",
        ),
    ] = msgspec.field(default_factory=node_name)
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
    url: Annotated[
        str | None,
        Setting(
            "the server's URL, for a Lash that names none; a password is safer in the variable",
            Check("a URL", _checked_url),
            "--url",
            "URL",
            default=f"${URL_VARIABLE}, else the embedded server",
        ),
    ] = None
    imports: Annotated[
        tuple[str, ...],
        Setting(
            "modules to import beside that of the Lash, for the tasks in them",
            Check("names of modules, all distinct", _checked_modules),
            "--import",
            "A,B",
            default="none beside those named tasks",
        ),
    ] = ()
    discovery: Annotated[
        bool,
        Setting(
            "import the modules named tasks of the Lash's package; the flag says not to",
            Check("True or False", checked_bool),
            "--no-discovery",
        ),
    ] = True
    reload: Annotated[
        bool,
        Setting(
            "for development: start the worker processes anew when a file of the imported packages changes",
            Check("True or False; True needs watchfiles", _checked_reload),
            "--reload",
        ),
    ] = False
    start_timeout_ms: Annotated[
        int,
        Setting(
            "that a pool waits for its server before its first worker process is ready",
            integer(0, 24 * 3600 * 1000),
            "--start-timeout",
            "S",
            is_time=True,
        ),
    ] = 60_000
    worker: WorkerSettings = msgspec.field(default_factory=WorkerSettings)

    def __post_init__(self) -> None:
        check_fields(self, POOL_SETTINGS)
        if self.reload and self.worker.leaves_when_empty:
            raise SettingsError(
                "expected --reload or --burst, got both: what leaves once it is empty is not started anew"
            )

    def __repr__(self) -> str:
        """Show it without the URL, in which a password may stand."""
        return f"PoolSettings(target={self.target!r}, name={self.name!r}, workers={self.workers})"

    def owner_id(self, slot: str) -> str:
        """Return the owner id of one slot, the same for every incarnation in it."""
        return _owner_id(self.name, slot)


POOL_SETTINGS = fields_of(PoolSettings, Setting)
