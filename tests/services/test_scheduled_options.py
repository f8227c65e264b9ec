"""Every option that a submit knows, with a schedule: a tick has a row like that of a submit, or it is refused."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any, Final

import msgspec
import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.task import Task
from lash_redis.core.errors import SettingsError
from lash_redis.core.events import Event, ScheduleNotStored
from lash_redis.core.options import ChosenSubmitOptions
from lash_redis.core.schedules import ScheduleDeclaration, ScheduleRule
from lash_redis.core.subscribers import subscribed
from lash_redis.core.terms import Terms
from lash_redis.core.unique import Unique
from lash_redis.operate.schedules import schedule_views
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.limits import ChosenTaskOptions
from lash_redis.worker.scheduling import Scheduling
from tests.conformance.test_schedules import HOUR_MS, declare, let_pass, stored, tick, ticks_of
from tests.conftest import RegistryMaker
from tests.look import ended, outcomes
from tests.services.conftest import Crew
from tests.support import wait_until

SHARED: Final = "shared"  # in place of the named limit that a Lash makes

# What a task declares, and what one submit of it says. A tick has all of it.
DECLARED: Final[dict[str, dict[str, Any]]] = {
    "queue": {"queue": "reports"},
    "loss_limit": {"loss_limit": 2},
    "priority": {"priority": 7},
    "keep_results": {"keep_results": 60},
    "expires_in": {"expires_in": 3600},
    "retries": {"retries": 3},
    "key": {"key": "tenant", "fair": True},
    "fair": {"fair": True, "key": "tenant", "priority": 2},
    "limit": {"limit": 8},
    "rate": {"rate": (8, 60), "key": "tenant"},
    "revision": {"limit": 16, "revision": 2},
    "within": {"within": SHARED, "limit": 8, "key": "tenant"},
    "cost": {"cost": "weight", "limit": 16},
}
GIVEN: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "queue": ({}, {"queue": "reports"}),
    "loss_limit": ({}, {"loss_limit": 2}),
    "priority": ({"limit": 8}, {"priority": -7}),
    "keep_results": ({}, {"keep_results": dt.timedelta(hours=1)}),
    "expires_in": ({"fair": True, "key": "tenant"}, {"expires_in": 3600}),
    "key": ({"fair": True, "key": "tenant"}, {"key": "a|b ü, \x00"}),
    "cost": ({"limit": 16}, {"cost": 2}),
    "delay": ({"limit": 8}, {"delay": 5}),
    "labels": ({"limit": 8}, {"labels": {"tenant": "42", "kind": "a b"}}),
}
REFUSED_OF_A_TASK: Final[dict[str, dict[str, Any]]] = {
    "sequence": {"sequence": True, "key": "tenant", "after_loss": "continue"},
    "after_loss": {"sequence": True, "key": "tenant", "after_loss": "halt"},
    "unique": {"unique": Unique(by="tenant")},
}
REFUSED_OF_A_SUBMIT: Final[dict[str, dict[str, Any]]] = {
    "process_id": {"process_id": "p"},
    "at": {"at": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)},
    "unique": {"unique": Unique(key="k")},
    "after": {"after": ["p"], "if_failed": "run"},
    "if_failed": {"after": ["p"], "if_failed": "cancel"},
}
CASES: Final = {
    **{f"declared {name}": (options, {}) for name, options in DECLARED.items()},
    **{f"given {name}": options for name, options in GIVEN.items()},
}
# What belongs to one row: when it was registered, its place in its lane, and moments that count from there.
_OF_ONE_ROW: Final = {b"at", b"sq"}
_MOMENTS: Final = {b"du", b"xp"}


@pytest.fixture(params=[1, 8], ids=["P1", "P8"])
def partitions(request: pytest.FixtureRequest) -> int:
    """Return each partition count in turn: all ticks of a schedule lie in one."""
    count: int = request.param
    return count


def test_no_option_is_forgotten() -> None:
    """One that is new works with schedules, or is refused at their declaration."""
    assert DECLARED.keys() | REFUSED_OF_A_TASK.keys() == {*ChosenTaskOptions.__annotations__, "unique"}
    assert GIVEN.keys() | REFUSED_OF_A_SUBMIT.keys() == {*ChosenSubmitOptions.__annotations__, "key", "process_id"}


def task_of(lash: Lash, declared: dict[str, Any], given: dict[str, Any], name: str = "report") -> Task[..., Any]:
    """Return a task with these options."""
    if declared.get("within") == SHARED:
        declared = declared | {"within": lash.limit("shared", limit=8)}

    @lash.task(recovery="rerunnable", name=name, **declared)
    async def report(tenant: str, weight: int) -> None:
        pass

    return report.options(**given)


def scheduled(lash: Lash, task: Task[..., Any], name: str = "s", **more: Any) -> ScheduleDeclaration:
    """Declare a schedule of a task, whose ticks are on time for a day."""
    lash.schedule(name, task, ("ada", 2), every=HOUR_MS // 1000, late_after=86_400, **more)
    return next(each for each in task.schedules if each.name == name)


async def content(client: Any, registry: ProcessRegistry, process_id: str) -> dict[bytes, bytes]:
    """Return what a row says, but for what belongs to it alone."""
    k = partition_prefix(registry.namespace, registry.partition_of(process_id))
    row = await client.hgetall(f"{k}:p:{process_id}")
    since = int(row[b"at"])
    return {
        field: b"%d" % (int(value) - since) if field in _MOMENTS else value
        for field, value in row.items()
        if field not in _OF_ONE_ROW
    }


@pytest.mark.parametrize("case", CASES)
async def test_a_tick_has_the_row_of_a_submit(
    registry: ProcessRegistry, make_registry: RegistryMaker, client: Any, case: str
) -> None:
    """Whatever the options: it is stored, ticked, run by hand, listed, and read by another program."""
    lash = Lash(client, registry.namespace, registry.partitions)
    task = task_of(lash, *CASES[case])
    declaration = scheduled(lash, task)
    assert await declare(registry, declaration) == ["new"]
    assert await declare(registry, declaration) == ["same"]
    await let_pass(client, registry, ms=5 * HOUR_MS // 2)
    await tick(registry)
    ticks = await ticks_of(client, registry)
    assert len(ticks) in (2, 3)
    by_hand = await registry.run_schedule("s")
    registration = task.registration(("ada", 2), {})
    await registry.submit_many([registration], Terms(task.declaration.signature.named))
    wanted = await content(client, registry, registration.id)
    for process_id in [by_hand, *(f"s::{each}" for each in ticks)]:
        assert await content(client, registry, process_id) == wanted
    other = make_registry()
    await other.open()
    found = await stored(other)
    assert (found.task, found.queue, found.last_tick_ms) == ("report", registration.queue, ticks[-1])
    assert "|a|" not in found.lane
    assert [each["name"] for each in await schedule_views(other)] == ["s"]


@pytest.mark.parametrize("options", REFUSED_OF_A_TASK)
def test_what_no_tick_of_a_task_can_have_is_refused(options: str) -> None:
    """At the declaration, with the name of the schedule."""
    lash = Lash()
    with pytest.raises(SettingsError, match=r"the task of schedule 's' to be (no sequence|without the option)"):
        scheduled(lash, task_of(lash, REFUSED_OF_A_TASK[options], {}))


@pytest.mark.parametrize("options", REFUSED_OF_A_SUBMIT)
def test_what_no_tick_can_be_given_is_refused(options: str) -> None:
    """At the declaration, with the name of the schedule."""
    lash = Lash()
    with pytest.raises(SettingsError, match=r"the task of schedule 's' to (have no process_id|be without)"):
        scheduled(lash, task_of(lash, {}, REFUSED_OF_A_SUBMIT[options]))


def test_a_cost_above_the_limit_is_refused() -> None:
    """When it is declared: its arguments are known by then."""
    lash = Lash()
    with pytest.raises(SettingsError, match="expected cost to be at most 1, the limit of task 'report', got 2"):
        scheduled(lash, task_of(lash, {"limit": 1, "cost": "weight"}, {}))


@pytest.mark.parametrize("declared", [{}, {"fair": True, "key": "tenant"}, {"rate": (800, 60)}], ids=str)
async def test_a_worker_runs_the_ticks_of_a_keyed_task(
    registry: ProcessRegistry, client: Any, crew: Crew, declared: dict[str, Any]
) -> None:
    """Beside those of a plain one. No limit is exceeded, and the next tick follows when a slot is free."""
    lash, ran, running = Lash(client, registry.namespace, registry.partitions), list[str](), [0, 0]

    @lash.task(recovery="rerunnable", name="report", **(declared or {"limit": registry.partitions}))
    async def report(tenant: str) -> None:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0)
        running[0] -= 1
        ran.append(tenant)

    @lash.task(recovery="rerunnable", name="plain")
    async def plain() -> None:
        ran.append("plain")

    lash.schedule("s", report, ("ada",), every=3600, late_after=86_400)
    lash.schedule("t", plain, every=3600, late_after=86_400)
    worker = crew.worker(*lash.tasks, registry=registry)  # type: ignore[arg-type]
    await worker.drive_pending()
    for name in ("s", "t"):
        await let_pass(client, registry, name, ms=5 * HOUR_MS // 2)
    async with crew.running(worker):
        await wait_until(lambda: {"ada", "plain"} <= set(ran), "both schedules tick")
        by_hand = await registry.run_schedule("s")
        await ended(registry, by_hand)
        ticks = await ticks_of(client, registry, "s")
        await outcomes(registry, *(f"s::{each}" for each in ticks))
    assert ran.count("ada") == len(ticks) + 1
    assert declared or running[1] == 1


async def test_a_schedule_that_cannot_be_stored_stops_no_other(registry: ProcessRegistry, client: Any) -> None:
    """It is told with its place and why. What is declared beside it is stored, and so is what was marked."""
    lash = Lash(client, registry.namespace, registry.partitions)
    bad = scheduled(lash, task_of(lash, {"limit": 8, "cost": "weight"}, {}), "bad")
    good = scheduled(lash, task_of(lash, {"limit": 16}, {}, "other"), "good")
    if registry.partitions == 1:  # a limit of 8 is enough for a cost of 2 there
        bad = msgspec.structs.replace(bad, rule=ScheduleRule("cron 0 3 * * *", "Mars/Base"))
    events: list[Event] = []
    with subscribed(events.append):
        await Scheduling(registry, [bad, good], {"report", "other"}).reconcile()
    told = [each for each in events if isinstance(each, ScheduleNotStored)]
    assert [(each.schedule, each.location) for each in told] == [("bad", bad.location)]
    assert ("Mars/Base" if registry.partitions == 1 else "expected cost to be at most 1") in told[0].reason
    assert [each.name for each in await registry.all_schedules()] == ["good"]
    assert await registry.declare_schedules([bad, good]) == ["unstorable", "same"]


async def test_a_key_or_a_limit_that_the_code_adds_is_other_content(registry: ProcessRegistry) -> None:
    """What stands goes on in the lane that it has until the revision is raised, and that is told."""
    keyed = {"fair": True, "key": "tenant"}
    versions = [
        scheduled(lash, task_of(lash, declared, given))
        for lash, declared, given in ((Lash(), {}, {}), (Lash(), keyed, {}), (Lash(), keyed, {"key": "bob"}))
    ]
    for revision, declaration in enumerate(versions, 1):
        assert await declare(registry, msgspec.structs.replace(declaration, revision=revision)) in (
            ["new"],
            ["changed"],
        )
        for other in versions:
            if other is not declaration:
                same_revision = msgspec.structs.replace(other, revision=revision)
                assert await declare(registry, same_revision) == ["differs"]
