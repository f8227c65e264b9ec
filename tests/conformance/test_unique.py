"""Unique work: one process for one key, decided by the script that registers (rule 9.14)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.errors import NotUnique, QueueFull, SettingsError
from lash_redis.core.model import Phase, ProcessRegistration, ProcessStatus
from lash_redis.core.outcomes import Cancelled, Success
from lash_redis.core.unique import Unique
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, LONG_MS, batch_claim, begun, cancel, held, outside, work
from tests.conftest import ServerTime
from tests.look import record_of, row_of

ONCE = Unique(key="k")
REFUSE = Unique(key="k", on_duplicate="refuse")
REPLACE = Unique(key="k", on_duplicate="replace")
PUT_OFF = Unique(key="k", on_duplicate="debounce", longest=100)


def same(process_id: str, unique: Unique = ONCE, **options: Any) -> ProcessRegistration:
    """Return a registration of work that is unique."""
    return work(f"k::{process_id}", unique=unique, **options)


async def submitted(registry: ProcessRegistry, *registrations: ProcessRegistration) -> list[str]:
    """Submit, and return the ids that stand for it, without their route."""
    return [each.removeprefix("k::") for each in await registry.submit_many(registrations)]


async def started(registry: ProcessRegistry, process_id: str) -> Any:
    """Claim and start it."""
    return await begun(registry, f"k::{process_id}", ADA)


async def phase_of(registry: ProcessRegistry, process_id: str) -> Phase | ProcessStatus:
    """Return where it stands, or how it ended."""
    record = await record_of(registry, f"k::{process_id}")
    return record.phase or record.status


async def due_in(registry: ProcessRegistry, server: ServerTime, process_id: str) -> float:
    """Return in how many seconds a delayed process becomes due."""
    due = (await record_of(registry, f"k::{process_id}")).due_at_ms
    assert due is not None
    return round((due - await server.now_ms()) / 1000)


async def test_while_one_is_there_a_submit_answers_it(registry: ProcessRegistry) -> None:
    """However often, queued, delayed or running; what came second is nowhere."""
    assert await submitted(registry, same("one")) == ["one"]
    assert await submitted(registry, same("two")) == ["one"]
    await started(registry, "one")
    assert await submitted(registry, same("three", delay_ms=LONG_MS)) == ["one"]

    assert await registry.get("k::two") is None
    assert (await registry.register(same("five"))).id == "k::one"
    assert await registry.register_many([same("one"), same("four")]) == [False, False]


async def test_once_it_has_ended_the_next_one_gets_in(registry: ProcessRegistry) -> None:
    """The key leads to the new one."""
    await submitted(registry, same("one"))
    await registry.complete(await started(registry, "one"), Success())

    assert await submitted(registry, same("two")) == ["two"]
    assert await submitted(registry, same("three")) == ["two"]


async def test_what_is_unique_until_its_start_is_followed_by_another(registry: ProcessRegistry) -> None:
    """A running one has read what it works on already. One that was given back unbegun counts again."""
    until_start = Unique(key="k", until="start")
    await submitted(registry, same("one"))
    lease = await held(registry, "k::one", ADA)
    assert await submitted(registry, same("two", until_start)) == ["one"]
    await registry.start(lease)

    assert await submitted(registry, same("two", until_start)) == ["two"]


async def test_what_is_unique_for_a_time_counts_whatever_became_of_it(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """From its submit on, also after its end; then no more, although it may run still."""
    for_a_while = Unique(key="k", within=0.3)
    await submitted(registry, same("one"))
    began = await server.now_ms()
    await registry.request_cancel("k::one", cancel())
    assert await submitted(registry, same("two", for_a_while)) == ["one"]

    await server.pass_until(began + 300)

    assert await submitted(registry, same("two", for_a_while)) == ["two"]


async def test_one_key_of_two_tasks_is_two_keys(registry: ProcessRegistry) -> None:
    """A key is its task's own."""
    await submitted(registry, same("one"))

    assert await submitted(registry, same("two", task="other")) == ["two"]


async def test_a_refused_submit_names_the_process_that_is_there(registry: ProcessRegistry) -> None:
    """And nothing of its batch is registered."""
    await submitted(registry, same("one"))

    with pytest.raises(NotUnique, match="'k::one' is there with the same unique key") as refusal:
        await submitted(registry, work("k::other"), same("two", REFUSE))

    error = refusal.value
    assert (error.process_id, error.refused_id, error.batch) == ("k::one", "k::two", 2)
    assert await registry.get("k::other") is None


async def test_what_never_started_is_replaced_and_never_runs(registry: ProcessRegistry) -> None:
    """It ends as cancelled, and says by what it was replaced."""
    await submitted(registry, same("one", REPLACE), work("k::other"))

    assert await submitted(registry, same("two", REPLACE)) == ["two"]

    record = await record_of(registry, "k::one")
    assert record.outcome == Cancelled("replaced by k::two")
    served = batch_claim(registry, ADA, count=9, partition=registry.partition_of("k::one"))
    assert [row.process_id for row in (await registry.claim_next(served)).rows] == ["k::other", "k::two"]


@pytest.mark.parametrize("phase", [Phase.DELAYED, Phase.QUEUED])
async def test_what_is_replaced_may_be_delayed_or_queued(registry: ProcessRegistry, phase: Phase) -> None:
    """The new one waits as it was submitted itself."""
    delay_ms = LONG_MS if phase is Phase.DELAYED else 0
    await submitted(registry, same("one", REPLACE, delay_ms=delay_ms))
    assert await phase_of(registry, "one") is phase

    await submitted(registry, same("two", REPLACE, delay_ms=LONG_MS))

    assert await phase_of(registry, "one") is ProcessStatus.CANCELLED
    assert await phase_of(registry, "two") is Phase.DELAYED


async def _held(registry: ProcessRegistry) -> None:
    await held(registry, "k::one", ADA)


async def _started(registry: ProcessRegistry) -> None:
    await started(registry, "one")


async def _given_back(registry: ProcessRegistry) -> None:
    await registry.release(await started(registry, "one"))


@pytest.mark.parametrize("change", [_held, _started, _given_back])
async def test_what_was_taken_by_a_worker_is_not_replaced(
    registry: ProcessRegistry, change: Callable[[ProcessRegistry], Awaitable[None]]
) -> None:
    """It is answered as it is, if it counts to its end; it may have done its work."""
    unique = Unique(key="k", on_duplicate="replace", until="end")
    await submitted(registry, same("one"))
    await change(registry)

    assert await submitted(registry, same("two", unique)) == ["one"]
    assert not (await record_of(registry, "k::one")).is_terminal


@pytest.mark.parametrize("then", [REPLACE, PUT_OFF], ids=["replace", "debounce"])
async def test_what_others_await_is_neither_replaced_nor_put_off(registry: ProcessRegistry, then: Unique) -> None:
    """Whoever submitted what waits for it knows nothing of the second one."""
    await submitted(registry, same("one", PUT_OFF, delay_ms=LONG_MS))
    await registry.register(work("k::waits", after=("k::one",), if_failed="cancel"))
    before = await record_of(registry, "k::one")

    assert await submitted(registry, same("two", then, delay_ms=LONG_MS + 1_000)) == ["one"]
    assert await record_of(registry, "k::one") == before


@pytest.mark.parametrize("if_failed", ["run", "cancel"])
@pytest.mark.parametrize("then", [REPLACE, PUT_OFF], ids=["replace", "debounce"])
async def test_what_a_submit_itself_awaits_is_neither_replaced_nor_put_off(
    registry: ProcessRegistry, then: Unique, if_failed: Any
) -> None:
    """It would wait for what it ends. The one that is there is answered."""
    await submitted(registry, same("one", PUT_OFF, delay_ms=LONG_MS))
    before = await record_of(registry, "k::one")
    options: dict[str, Any] = {"after": ("k::other", "k::one"), "if_failed": if_failed}

    assert await submitted(registry, work("k::other"), same("two", then, delay_ms=LONG_MS + 1_000, **options)) == [
        "other", "one",
    ]  # fmt: skip
    assert await record_of(registry, "k::one") == before


@pytest.mark.parametrize("then", [REPLACE, PUT_OFF], ids=["replace", "debounce"])
async def test_what_another_row_of_the_batch_awaits_is_neither_replaced_nor_put_off(
    registry: ProcessRegistry, then: Unique
) -> None:
    """As if that one had been submitted before."""
    await submitted(registry, same("one", PUT_OFF, delay_ms=LONG_MS))
    before = await record_of(registry, "k::one")
    waits = work("k::waits", after=("k::one",), if_failed="run")

    assert await submitted(registry, waits, same("two", then, delay_ms=LONG_MS + 1_000)) == ["waits", "one"]
    assert await record_of(registry, "k::one") == before
    await registry.request_cancel("k::one", cancel())
    assert await phase_of(registry, "waits") is Phase.QUEUED


@pytest.mark.parametrize(("if_failed", "becomes"), [("run", Phase.QUEUED), ("cancel", ProcessStatus.CANCELLED)])
async def test_what_awaits_one_that_its_batch_replaces_hears_of_its_end(
    registry: ProcessRegistry, if_failed: Any, becomes: Phase | ProcessStatus
) -> None:
    """As if that one had been replaced before, whether or not it names other processes too."""
    await submitted(registry, same("one", REPLACE), work("k::other"))
    await registry.request_cancel("k::other", cancel())
    waits = [
        work("k::waits", after=("k::one",), if_failed=if_failed),
        work("k::both", after=("k::other", "k::one"), if_failed=if_failed),
    ]

    assert await submitted(registry, same("two", REPLACE), *waits) == ["two", "waits", "both"]
    assert await phase_of(registry, "one") is ProcessStatus.CANCELLED
    assert [await phase_of(registry, each) for each in ("waits", "both")] == [becomes, becomes]
    assert await submitted(registry, same("two", REPLACE), *waits) == ["two", "waits", "both"], "it is sent again"


async def test_a_replace_follows_what_has_started(registry: ProcessRegistry) -> None:
    """So that the last one counts, although an earlier one runs."""
    await submitted(registry, same("one", REPLACE))
    await started(registry, "one")

    assert await submitted(registry, same("two", REPLACE)) == ["two"]
    assert await submitted(registry, same("three", REPLACE)) == ["three"]
    assert await phase_of(registry, "one") is Phase.STARTED
    assert await phase_of(registry, "two") is ProcessStatus.CANCELLED


async def test_a_debounce_puts_off_the_one_that_is_there(registry: ProcessRegistry, server: ServerTime) -> None:
    """It waits for the whole delay again, and no longer than the longest wait since its first submit."""
    await submitted(registry, same("one", PUT_OFF, delay_ms=60_000))
    first = (await row_of(registry, "k::one")).record().due_at_ms
    assert first is not None

    assert await submitted(registry, same("two", PUT_OFF, delay_ms=80_000)) == ["one"]
    assert 65 <= await due_in(registry, server, "one") <= 80

    assert await submitted(registry, same("three", PUT_OFF, delay_ms=500_000)) == ["one"]
    assert (await record_of(registry, "k::one")).due_at_ms == first + 40_000


async def test_the_same_debounce_moves_it_once(registry: ProcessRegistry, server: ServerTime) -> None:
    """Sent again it changes nothing."""
    await submitted(registry, same("one", PUT_OFF, delay_ms=1_000))
    await submitted(registry, same("two", PUT_OFF, delay_ms=50_000))
    moved = (await record_of(registry, "k::one")).due_at_ms
    await server.pass_until(await server.now_ms() + 20)

    assert await submitted(registry, same("two", PUT_OFF, delay_ms=50_000)) == ["one"]
    assert (await record_of(registry, "k::one")).due_at_ms == moved


async def test_what_waits_in_its_lane_is_not_put_off(registry: ProcessRegistry) -> None:
    """It will run as soon as there is room, and has read nothing yet."""
    await submitted(registry, same("one"))

    assert await submitted(registry, same("two", PUT_OFF, delay_ms=50_000)) == ["one"]
    assert await phase_of(registry, "one") is Phase.QUEUED


async def test_a_submit_that_is_sent_again_answers_the_same(registry: ProcessRegistry) -> None:
    """Its own id if it was registered, whatever came since; what it replaced is replaced once."""
    await submitted(registry, same("one", REPLACE))
    assert await submitted(registry, same("two", REPLACE)) == ["two"]
    assert await submitted(registry, same("three", REPLACE)) == ["three"]

    assert await submitted(registry, same("two", REPLACE)) == ["two"]
    assert await phase_of(registry, "three") is Phase.QUEUED


async def test_one_key_twice_in_a_batch_is_decided_one_after_the_other(registry: ProcessRegistry) -> None:
    """As if they had been submitted alone."""
    three = [same("one"), same("two"), same("three")]
    assert await submitted(registry, *three) == ["one", "one", "one"]
    assert await submitted(registry, same("four", REPLACE), same("five", REPLACE)) == ["four", "five"]
    assert await phase_of(registry, "four") is ProcessStatus.CANCELLED


async def test_a_duplicate_is_no_case_of_a_full_queue(registry: ProcessRegistry, partitions: int) -> None:
    """It is answered or refused before, and what is replaced makes room for what replaces it."""
    await registry.bound_queue(QueueBound("default", partitions))
    await submitted(registry, same("one"))

    assert await submitted(registry, same("two")) == ["one"]
    with pytest.raises(NotUnique):
        await submitted(registry, same("two", REFUSE))
    assert await submitted(registry, same("two", REPLACE)) == ["two"]
    with pytest.raises(QueueFull):
        await submitted(registry, work("k::other"))


async def test_a_pruned_process_takes_its_key_along(registry: ProcessRegistry) -> None:
    """Unless another one has it by then."""
    await submitted(registry, same("one"))
    await submitted(registry, same("two", REPLACE))
    await registry.prune(before_ms=2**52)
    assert await registry.get("k::one") is None
    assert await submitted(registry, same("three")) == ["two"]

    await registry.request_cancel("k::two", cancel())
    await registry.prune(before_ms=2**52)

    assert await registry.get("k::two") is None
    assert await submitted(registry, same("three", Unique(key="k", within=1000))) == ["three"]


async def test_an_id_of_another_route_is_refused_where_there_are_partitions(
    registry: ProcessRegistry, partitions: int
) -> None:
    """Those of one key would not find each other; the message says how the id has to begin."""
    for number in range(9):  # also one that lies in the same partition by chance
        registration = work(f"p{number}", unique=Unique(key=f"k{number}"))
        if partitions == 1:
            assert await registry.submit_many([registration]) == [registration.id]
            continue
        with pytest.raises(SettingsError, match=f"to begin with 'k{number}::', got"):
            await registry.submit_many([registration])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"on_duplicate": "drop"}, "on_duplicate to be one of existing, refuse, replace, debounce"),
        ({"until": "never"}, 'until to be "end" or "start"'),
        ({"by": "a", "key": "b"}, "expected by or key, got both"),
        ({"until": "end", "within": 3}, "expected until or within, got both"),
        ({"on_duplicate": "debounce"}, "longest to be given"),
        ({"longest": 3}, "longest to be left out"),
        ({"by": "not a name"}, "by to be the name of a parameter"),
        ({"by": ()}, "by to be the name of a parameter"),
        ({"within": 0}, "within to be"),
        ({"key": ""}, "key to be text of 1 to 256 bytes"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(wrong: dict[str, Any], said: str) -> None:
    """With what is allowed."""
    with pytest.raises(SettingsError, match=said):
        Unique(**wrong)


def test_only_tasks_with_a_key_are_unique() -> None:
    """And what is put off needs a delay."""
    with pytest.raises(SettingsError, match="only tasks have unique keys"):
        outside("p", unique=ONCE)
    with pytest.raises(SettingsError, match="expected the unique key of a registration, got none"):
        work("p", unique=Unique())
    with pytest.raises(SettingsError, match="expected a delay with on_duplicate='debounce'"):
        work("p", unique=PUT_OFF)
