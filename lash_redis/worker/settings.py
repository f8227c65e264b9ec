"""The settings of one worker: names, defaults, checks and flags, for ``Worker``, the command line and the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypedDict

import msgspec

from lash_redis.core.checks import MAX_TTL_MS, Check, checked_bool, integer
from lash_redis.core.durations import MAX_MS
from lash_redis.core.fields import check_fields, check_names, fields_of
from lash_redis.core.settings import Setting
from lash_redis.worker.queue_order import checked_queues, names_of

_PHASE = integer(0, 24 * 3600 * 1000)
_PAUSE = integer(10, 3600 * 1000)


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one worker; times in ms. docs/settings.md explains each.

    Raises:
        SettingsError: a value is outside what is allowed.
    """

    concurrency: Annotated[
        int, Setting("runs at a time in each worker process", integer(1, 10_000), "--concurrency", "N")
    ] = 64
    queues: Annotated[
        tuple[str, ...],
        Setting(
            "queues to serve, in this order; or each as often as its weight says: high=5,low=1",
            Check("one name or more, all distinct, each with a weight from 1 to 1000 or none with one", checked_queues),
            "--queues",
            "A,B",
        ),
    ] = ("default",)
    lease_ttl_ms: Annotated[
        int, Setting("a lease lasts", integer(1_000, MAX_TTL_MS), "--lease-ttl", "S", is_time=True)
    ] = 30_000
    grace_ms: Annotated[int, Setting("that a drain lets work finish", _PHASE, "--grace", "S", is_time=True)] = 20_000
    interrupt_ms: Annotated[int, Setting("for interrupted work to end", _PHASE, "--interrupt", "S", is_time=True)] = (
        3_000
    )
    last_writes_ms: Annotated[
        int, Setting("for the last writes of a drain", _PHASE, "--last-writes", "S", is_time=True)
    ] = 4_000
    sweep_ms: Annotated[int, Setting("between two recovery passes, ± 20 %", _PAUSE, "--sweep", "S", is_time=True)] = (
        5_000
    )
    poll_ms: Annotated[
        int,
        Setting(
            "between two claims when nothing wakes the worker, ± 33 %, 40 s at most; "
            "six times that, 45 s at most, where sweeps see that nothing waits",
            _PAUSE,
            "--poll",
            "S",
            is_time=True,
        ),
    ] = 7_500
    keep_ms: Annotated[
        int, Setting("that what has ended is kept", integer(1_000, MAX_MS), "--keep", "S", is_time=True)
    ] = 7 * 24 * 3600 * 1000
    keep_rows: Annotated[
        int, Setting("of each task so many that have ended are kept", integer(1, 2**53), "--keep-rows", "N")
    ] = 100_000
    keep_memory: Annotated[
        int,
        Setting(
            "above this share of the server's maxmemory the oldest that have ended go, percent",
            integer(1, 100),
            "--keep-memory",
            "PERCENT",
        ),
    ] = 80
    keep_ids_ms: Annotated[
        int,
        Setting(
            "that the id of a forgotten process is kept, if its caller chose it",
            integer(0, MAX_MS),
            "--keep-ids",
            "S",
            is_time=True,
        ),
    ] = 7 * 24 * 3600 * 1000
    retain_ms: Annotated[
        int,
        Setting("between two looks for what need not be kept, ± 50 %", _PAUSE, "--retain", "S", is_time=True),
    ] = 60_000

    burst: Annotated[
        bool,
        Setting(
            "leave once nothing runs and nothing waits that it serves", Check("True or False", checked_bool), "--burst"
        ),
    ] = False
    burst_delayed: Annotated[
        bool,
        Setting(
            "the same, and once nothing is delayed in the namespace",
            Check("True or False", checked_bool),
            "--burst-delayed",
        ),
    ] = False

    def __post_init__(self) -> None:
        check_fields(self, WORKER_SETTINGS)

    @property
    def leaves_when_empty(self) -> bool:
        """It runs until nothing is left to do."""
        return self.burst or self.burst_delayed

    @property
    def queue_names(self) -> tuple[str, ...]:
        """The names of the queues, without weights."""
        return names_of(self.queues)

    @property
    def must_allow_s(self) -> int:
        """Seconds to allow before killing what drains: all phases and a margin (rule 7.5)."""
        return -(-(self.grace_ms + self.interrupt_ms + self.last_writes_ms) // 1000) + 3


class ChosenSettings(TypedDict, total=False):
    """The settings that a caller gives by name: the same names and types, for type checkers."""

    concurrency: int
    queues: Iterable[str] | Mapping[str, int]
    lease_ttl_ms: int
    grace_ms: int
    interrupt_ms: int
    last_writes_ms: int
    sweep_ms: int
    poll_ms: int
    burst: bool
    burst_delayed: bool
    keep_ms: int
    keep_rows: int
    keep_memory: int
    keep_ids_ms: int
    retain_ms: int


WORKER_SETTINGS = fields_of(WorkerSettings, Setting)


def settings_from(chosen: Mapping[str, Any]) -> WorkerSettings:
    """Return the settings with what was chosen in place of the defaults.

    Raises:
        SettingsError: there is no setting of that name, or a value is outside what is allowed.
    """
    check_names("a setting of a worker", chosen, WORKER_SETTINGS)
    return WorkerSettings(**chosen)
