"""Submitting: what a submit registers, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.app.task import Task
from lash_redis.core.errors import (
    NothingToResolve,
    PayloadError,
    RegistrationConflict,
    RegistryUnavailable,
    SettingsError,
    UnknownProcess,
)
from lash_redis.core.lanes import lane
from lash_redis.core.model import Phase, RecoveryDisposition, TaskInput
from lash_redis.core.outcomes import AbandonWriter
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.scripts import Script
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.tasks.bare_parameters import decode_parameters
from tests.conformance.actors import abandoned, settled
from tests.look import row_of


@pytest.fixture
def charge(lash: Lash) -> Task[[str, int], str]:
    """Return a task with two typed arguments."""

    @lash.task(recovery="owner_bound", name="charge", queue="money")
    def charge(order_id: str, amount: int = 1) -> str:
        return f"{order_id}: {amount}"

    return charge


async def test_a_submit_registers_what_was_declared(lash: Lash, charge: Task[..., str]) -> None:
    """The row has the task, the arguments, the disposition and the queue."""
    process = await charge.submit("o-17", amount=3)

    record = await process.record()
    assert record.input == TaskInput("charge", ("o-17", 3))
    assert record.disposition is RecoveryDisposition.OWNER_BOUND
    assert (record.queue, record.phase) == ("money", Phase.QUEUED)


async def test_the_lane_of_a_registration_has_the_digest_of_the_signature(lash: Lash, charge: Task[..., str]) -> None:
    """During a rolling deploy each worker then gets only rows that its function can run."""
    process = await charge.submit("o-17")

    row = await row_of(lash.registry, process.id)
    assert row.lane == f"money|charge|{charge.declaration.signature.digest}"


async def test_submits_at_the_same_time_share_calls(
    lash: Lash, charge: Task[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred take a few, and each answers for itself; the one with another content is refused alone."""
    await charge.options(process_id="first").submit("o-1")
    transport, registers = lash.registry.sender.transport, 0
    run = transport.run

    async def counted(script: Script, *args: Any, **options: Any) -> list[Any]:
        nonlocal registers
        registers += script.name == "register"
        return await run(script, *args, **options)

    monkeypatch.setattr(transport, "run", counted)
    processes = await asyncio.gather(*(charge.submit(f"o-{number}") for number in range(100)))
    assert registers <= 8
    records = [await process.record() for process in processes]
    assert [each.input for each in records] == [TaskInput("charge", (f"o-{number}",)) for number in range(100)]

    refused = charge.options(process_id="first").submit("o-2")
    others = [charge.submit(f"p-{number}") for number in range(10)]
    *submitted, error = await asyncio.gather(*others, refused, return_exceptions=True)
    assert isinstance(error, RegistrationConflict)
    assert len({process.id for process in submitted if not isinstance(process, BaseException)}) == 10


async def test_a_task_that_is_declared_anew_submits_with_its_new_signature(client: Any, namespace: str) -> None:
    """As in a notebook: what stands beside its rows is what it declares now, and not what the former one did."""
    lash = Lash(client, namespace)

    def define(function: Any) -> Task[..., None]:
        function.__qualname__ = "again"
        return lash.task(recovery="rerunnable", name="again")(function)

    former, task = define(lambda former: None), define(lambda latter: None)
    async with lash:
        for each in (former, task):
            await each.submit(1)
        ways = await lash.registry.filled_lanes(0, ServedLanes([]), ["default|again|"])
    named = [[each.name for each in decode_parameters(data)] for data in ways.values()]
    assert sorted(named) == [["former"], ["latter"]]


async def test_each_submit_is_a_process_of_its_own(charge: Task[..., str]) -> None:
    """Without an id from the caller, two equal calls are two processes."""
    first, second = await charge.submit("o-17"), await charge.submit("o-17")

    assert first.id != second.id


async def test_an_id_from_the_caller_makes_submit_idempotent(charge: Task[..., str]) -> None:
    """The same content under the same id is the same process."""
    idempotent = charge.options(process_id="charge:o-17")

    first, second = await idempotent.submit("o-17"), await idempotent.submit(order_id="o-17")

    assert first.id == second.id == "charge:o-17"


async def test_other_content_under_the_same_id_is_a_conflict(charge: Task[..., str]) -> None:
    """The first registration stays, and the error names the id."""
    await charge.options(process_id="charge:o-17").submit("o-17")

    with pytest.raises(RegistrationConflict, match="charge:o-17"):
        await charge.options(process_id="charge:o-17").submit("o-18")


async def test_options_change_the_copy_alone(charge: Task[..., str]) -> None:
    """A submit through the task itself keeps the declared options."""
    changed = charge.options(queue="hurry", loss_limit=1)

    by_copy, by_task = await (await changed.submit("o-1")).record(), await (await charge.submit("o-2")).record()
    assert (by_copy.queue, by_copy.loss_limit) == ("hurry", 1)
    assert (by_task.queue, by_task.loss_limit) == ("money", 5)


async def test_many_are_registered_in_their_order(lash: Lash, charge: Task[..., str]) -> None:
    """2,000 calls from a generator make 2,000 rows, and the handles have the order of the calls."""
    processes = await charge.submit_many((f"o-{number}", number) for number in range(2_000))

    rows = await lash.registry.rows([process.id for process in processes])
    inputs = [row.record().input for row in rows if row is not None]
    assert inputs == [TaskInput("charge", (f"o-{number}", number)) for number in range(2_000)]


async def test_many_are_sent_while_they_are_read(lash: Lash, charge: Task[..., str]) -> None:
    """At most one batch waits in memory beside the one that is under way, however long the iterable is."""
    sent: list[int] = []
    register_all = lash.registry.submit_alike

    async def counted(batch: Any, *others: Any) -> list[str]:
        sent.append(len(batch.rows))
        return await register_all(batch, *others)

    def calls() -> Iterator[tuple[str]]:
        for number in range(1_200):
            assert number - sum(sent) < 500 + 1
            yield (f"o-{number}",)

    lash.registry.submit_alike = counted  # type: ignore[method-assign,assignment]
    await charge.submit_many(calls())

    assert sent == [500, 500, 200]


async def test_every_way_to_submit_names_the_signature(client: Any, namespace: str) -> None:
    """So that workers of another release can bind what was submitted."""
    ways: dict[str, Any] = {}
    lash = Lash(client, namespace)

    def declared(way: str) -> Any:
        function = eval(f"lambda {way}: None")  # noqa: S307 - a function with a parameter of that name
        return lash.task(recovery="rerunnable", name=way)(function)

    async with lash:
        await declared("one").submit(1)
        await declared("many").submit_many([(1,)])
        await asyncio.to_thread(lambda: declared("plain").blocking.submit(1))
        await asyncio.to_thread(lambda: declared("plain_many").blocking.submit_many([(1,)]))
        for way in ("one", "many", "plain", "plain_many"):
            served = ServedLanes([("default", [lane("default", way)])])
            ways |= await lash.registry.filled_lanes(0, served, [f"default|{way}|"])
    named = [[each.name for each in decode_parameters(data)] for data in ways.values()]
    assert named == [["one"], ["many"], ["plain"], ["plain_many"]]


async def test_the_error_for_a_wrong_call_among_many_says_what_was_registered(
    lash: Lash, charge: Task[..., str]
) -> None:
    """Earlier batches are registered, its own is not, and a note on the error says so."""
    calls: list[tuple[Any, ...]] = [("o", number) for number in range(600)] + [("o", "much")]

    wrong = r"^item 600 of the iterable \(from 0\), \('o', 'much'\): task charge: argument amount: expected"
    with pytest.raises(PayloadError, match=wrong) as refused:
        await charge.submit_many(calls)
    with pytest.raises(SettingsError, match=r"^item 1 .*: expected .*, got 'no-tuple': write \(…,\)"):
        await charge.submit_many([("o", 1), "no-tuple"])  # type: ignore[list-item]

    assert refused.value.__notes__ == ["submit_many: the first 500 of the iterable are registered, and no other is"]
    lanes = [(await lash.registry.counts(partition)).lanes for partition in range(2)]
    assert sum(sum(each.values()) for each in lanes) == 500


@pytest.mark.parametrize(("maybe_applied", "says"), [(False, "and no other is"), (True, "and the next 100 may be")])
async def test_an_outage_among_many_says_what_was_registered(
    charge: Task[..., str], monkeypatch: pytest.MonkeyPatch, maybe_applied: bool, says: str
) -> None:
    """A caller can go on with the rest."""
    register_all: Any = ProcessRegistry.submit_alike
    done: list[Any] = []

    async def once(registry: ProcessRegistry, batch: Any, *others: Any) -> Any:
        if done:
            raise RegistryUnavailable("register", "gone", maybe_applied=maybe_applied)
        done.append(batch)
        return await register_all(registry, batch, *others)

    monkeypatch.setattr(ProcessRegistry, "submit_alike", once)
    with pytest.raises(RegistryUnavailable) as outage:
        await charge.submit_many([("o", number) for number in range(600)])

    assert outage.value.__notes__ == [f"submit_many: the first 500 of the iterable are registered, {says}"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_an_input_that_is_too_long_is_named_by_its_place(charge: Task[..., str], blocking: bool) -> None:
    """Its id was made for it and tells nobody anything; the error names the setting that bounds it."""
    calls = [("o", number) for number in range(600)] + [("x" * 2_000_000, 1)]

    submitting = asyncio.to_thread(charge.blocking.submit_many, calls) if blocking else charge.submit_many(calls)
    with pytest.raises(PayloadError, match=r"^item 600 .* got 2000\d+ \(max_payload_bytes") as refused:
        await submitting
    assert refused.value.__notes__ == ["submit_many: the first 500 of the iterable are registered, and no other is"]


async def test_many_under_one_id_are_refused(charge: Task[..., str]) -> None:
    """One id is one process."""
    with pytest.raises(SettingsError, match="cannot all have id 'charge:o-17'"):
        await charge.options(process_id="charge:o-17").submit_many([("o-17",)])


async def test_an_item_that_is_no_tuple_is_refused(charge: Task[..., str]) -> None:
    """A bare text would be read as a tuple of letters."""
    with pytest.raises(SettingsError, match="tuple or list of arguments, got 'o-18'"):
        await charge.submit_many(["o-18"])  # type: ignore[list-item]


async def test_items_that_come_asynchronously_are_to_be_collected_first(charge: Task[..., str]) -> None:
    """An iterable of another kind: the error says what makes it one."""

    async def orders() -> AsyncIterator[tuple[str, int]]:
        yield "o-18", 5

    with pytest.raises(SettingsError, match=r"expected calls .*: collect it first, \[each async for each in …\]"):
        await charge.submit_many(orders())  # type: ignore[call-overload]


def test_a_blocking_submit_registers_the_same(lash: Lash, charge: Task[..., str]) -> None:
    """A script without an event loop uses the same names."""
    process = charge.blocking.submit("o-17", 3)
    many = charge.blocking.submit_many([("o-18",), ("o-19",)])

    assert process.blocking.record().input == TaskInput("charge", ("o-17", 3))
    assert [each.record().input for each in many] == [TaskInput("charge", (id,)) for id in ("o-18", "o-19")]


async def test_the_record_of_an_unknown_process_is_an_error(lash: Lash) -> None:
    """Making a handle does not look the process up; reading the record does."""
    with pytest.raises(UnknownProcess, match="'nobody'"):
        await lash.process("nobody").record()


async def test_requests_are_recorded_with_who_and_why(lash: Lash, charge: Task[..., str]) -> None:
    """Both kinds of handle have the same names."""
    queued, other = await charge.submit("o-1"), await charge.submit("o-2")

    cancelled = await queued.request_cancel(by="ops", reason="a mistake")
    also = await asyncio.to_thread(other.blocking.request_cancel, by="ops")

    assert cancelled.cancel_request is not None
    assert (cancelled.cancel_request.requested_by, cancelled.cancel_request.reason) == ("ops", "a mistake")
    assert also.cancel_request is not None
    assert cancelled.is_terminal
    assert also.is_terminal


async def test_outside_work_can_be_abandoned_by_request(lash: Lash) -> None:
    """The request stays on the row until a sweep acts on it."""
    first, second = await lash.expect("approval:1"), await lash.expect("approval:2")

    requested = [
        await first.request_abandon(by="ops", reason="the desk is closed"),
        await asyncio.to_thread(second.blocking.request_abandon, by="ops"),
    ]

    assert [record.abandon_request is not None and not record.is_terminal for record in requested] == [True, True]


async def test_abandoned_work_is_resolved_by_its_handle(lash: Lash) -> None:
    """By both handles alike; what has not been abandoned is refused."""
    first, second = await lash.expect("approval:1"), await lash.expect("approval:2")
    with pytest.raises(NothingToResolve):
        await first.resolve("accepted", by="ops")
    for each in (first, second):
        await each.request_abandon(by="ops")
        assert await settled(lash.registry, each.id, "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, None))

    resolved = [
        await first.resolve("happened", by="ada", reason="on the statement", value=7),
        await asyncio.to_thread(second.blocking.resolve, "accepted", by="ada"),
    ]

    assert [record.resolution and record.resolution.kind for record in resolved] == ["happened", "accepted"]
    assert [record.resolution and record.resolution.value for record in resolved] == [7, None]


async def test_a_handle_shows_its_id(lash: Lash) -> None:
    """The id that a log prints is enough to look the process up."""
    assert repr(lash.process("charge:o-17")) == "<Process 'charge:o-17'>"
    assert repr(lash.blocking.process("charge:o-17")) == "<BlockingProcess 'charge:o-17'>"
