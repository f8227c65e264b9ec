"""Calls and answers are bounded in bytes as in rows, and what the pool itself writes never meets a task's limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lash_redis.core.checks import MAX_BATCH_BYTES
from lash_redis.core.model import Phase, ProcessStatus, TaskInput
from lash_redis.core.outcomes import Abandoned, Cancelled, Failure, Success
from lash_redis.recovery.sweep import Sweep
from lash_redis.registry.answers import Death, TerminalFact
from lash_redis.registry.keys import LEASES, owner_digest
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.scripts import Script
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    batch_claim,
    begun,
    cancel,
    held,
    ids_of,
    work,
)
from tests.look import lease_of, record_of
from tests.soundness import keyspace

KB = 1000
ROOM = MAX_BATCH_BYTES + 20 * KB  # what one call or answer has at most, with what goes beside the payloads


class Wire:
    """Notes how many bytes go to the server and come back, for each call of a script."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self._run = registry.sender.transport.run
        registry.sender.transport.run = self.run  # type: ignore[method-assign]
        self.sent: list[tuple[str, int]] = []
        self.answered: list[tuple[str, int]] = []

    async def run(self, script: Script, header: str, args: Sequence[Any], **options: Any) -> list[Any]:
        """Run it, and note its lengths."""
        self.sent.append((script.name, length(args)))
        reply = await self._run(script, header, args, **options)
        self.answered.append((script.name, length(reply)))
        return reply

    def lengths(self, script: str) -> list[int]:
        """Return how long the calls of a script were."""
        return [size for name, size in self.sent if name == script]

    def replies(self, script: str) -> list[int]:
        """Return how long the answers of a script were."""
        return [size for name, size in self.answered if name == script]


def length(value: Any) -> int:
    """Return the length of what a call or an answer carries."""
    if isinstance(value, (list, tuple)):
        return sum(map(length, value))
    return len(value if isinstance(value, bytes) else str(value).encode())


async def registered(registry: ProcessRegistry, *sizes: int) -> list[str]:
    """Register processes with inputs of about these lengths; return their ids, all of partition 0."""
    chosen = ids_of(len(sizes), 0, registry.partitions)
    await registry.register_many([work(id_, RERUNNABLE, "x" * size) for id_, size in zip(chosen, sizes, strict=True)])
    return chosen


def ids(batch: Any) -> list[str]:
    """Return the ids that a batch claim handed out."""
    return [row.process_id for row in batch.rows]


async def test_a_claim_hands_out_a_mebibyte_of_inputs_at_most(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """The rest stays queued, the worker knows that there is more, and it is not listed as idle."""
    one, two, three = await registered(registry, 400 * KB, 400 * KB, 400 * KB)

    batch = await registry.claim_next(batch_claim(registry, ADA, count=9))

    assert (ids(batch), batch.may_have_more) == ([one, two], True)
    assert "idle:default" not in (await keyspace(client, namespace))[0]
    rest = await registry.claim_next(batch_claim(registry, ADA, count=9))
    assert (ids(rest), rest.may_have_more) == ([three], False)
    assert list((await keyspace(client, namespace))[0]["idle:default"].value) == [owner_digest(ADA)]


async def test_a_longer_input_goes_alone(make_registry: Any) -> None:
    """Whatever stands before and behind it."""
    registry = make_registry(max_payload_bytes=4 << 20)
    chosen = await registered(registry, 10, 2_000 * KB, 10)

    answers = [ids(await registry.claim_next(batch_claim(registry, ADA, count=9))) for _ in range(3)]

    assert answers == [[each] for each in chosen]


async def test_a_bounded_claim_sent_again_hands_out_the_same_rows(registry: ProcessRegistry) -> None:
    """And says that there may be more, since nobody knows that any more."""
    chosen = await registered(registry, 400 * KB, 400 * KB, 400 * KB)
    claim = batch_claim(registry, ADA, count=9)
    first = await registry.claim_next(claim)

    again = await registry.claim_next(claim)

    assert again.rows == first.rows
    assert (ids(again), again.may_have_more) == (chosen[:2], True)


async def test_registrations_are_sent_in_calls_of_a_mebibyte(registry: ProcessRegistry) -> None:
    """However many rows that is."""
    wire = Wire(registry)

    await registered(registry, *[100 * KB] * 25)

    assert len(wire.lengths("register")) == 3
    assert max(wire.lengths("register")) < ROOM


async def test_results_are_sent_in_calls_of_a_mebibyte(registry: ProcessRegistry) -> None:
    """So that each of them fits the time that a call has."""
    chosen = await registered(registry, *[10] * 25)
    await registry.claim_next(batch_claim(registry, ADA, count=25))
    encoded = registry.encoded(Success("x" * 100 * KB))
    facts = [TerminalFact(await lease_of(registry, id_), *encoded) for id_ in chosen]
    wire = Wire(registry)

    assert await registry.terminalize_many(facts) == ["DONE"] * 25

    assert len(wire.lengths("terminalize")) == 3
    assert max(wire.lengths("terminalize")) < ROOM


@pytest.mark.parametrize("script", ["get", "watch"])
async def test_rows_are_read_in_answers_of_a_mebibyte(registry: ProcessRegistry, script: str) -> None:
    """All of them in their order, whatever the call asked for at once; an unknown one is None."""
    chosen = await registered(registry, *[100 * KB] * 25)
    asked = [*chosen[:12], *ids_of(1, 0, registry.partitions, "unknown"), *chosen[12:]]
    wire = Wire(registry)

    rows = await (registry.rows(asked) if script == "get" else registry.watch(asked, "desk"))

    assert [row and row.process_id for row in rows] == [each if each in chosen else None for each in asked]
    assert len(wire.replies(script)) == 3
    assert max(wire.replies(script)) < ROOM


async def test_a_watch_of_long_rows_notes_the_client_once_on_each(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """Those that were left for the next call are noted by it."""
    await registry.watch(await registered(registry, *[400 * KB] * 4), "desk")

    rows = [key.value for name, key in (await keyspace(client, namespace))[0].items() if name.startswith("p:")]

    assert [row["w"] for row in rows if isinstance(row, dict)] == [b"desk"] * 4


async def test_pages_carry_no_payload(registry: ProcessRegistry) -> None:
    """What a sweep, a drain or a listing reads is small, however long inputs and outcomes are."""
    chosen = await registered(registry, *[100 * KB] * 25)
    for id_ in chosen:
        await held(registry, id_, ADA)
    wire = Wire(registry)

    page = await registry.page(0, LEASES)
    listed = await registry.list_non_terminal(500)

    assert sorted(row.process_id for row in page.rows) == sorted(chosen)
    assert {record.input for record in listed.records} == {None}
    assert max(wire.replies("page")) < 20 * KB


async def test_a_listing_has_the_inputs_that_stand_in_the_rows(registry: ProcessRegistry) -> None:
    """Those of 64 bytes at most."""
    await registry.register(work("p", RERUNNABLE, 7))

    (record,) = (await registry.list_non_terminal(9)).records

    assert record == await registry.get("p")
    assert record.input == TaskInput("work", (7,))


async def test_evidence_and_requests_are_no_payloads(make_registry: Any) -> None:
    """A sweep abandons although a task may return next to nothing; and the request's reason is shown whole."""
    registry = make_registry(max_payload_bytes=64)
    reason = "r" * 4_000
    for id_ in ("dead", "asked"):
        await registry.register(work(id_, OWNER_BOUND, task=id_))
        await registry.start(await held(registry, id_, ADA if id_ == "dead" else BOB))
    await registry.request_abandon("asked", abandon(reason=reason))
    await registry.release(await lease_of(registry, "asked"))
    await registry.record_death(ADA, Death("exit 9 " + "x" * 500, "somebody"))

    report = await Sweep(registry, BOB).run_once()

    assert report.abandoned == 2
    for id_ in ("dead", "asked"):
        assert isinstance((await record_of(registry, id_)).outcome, Abandoned)
    assert reason in str((await record_of(registry, "asked")).outcome)


async def test_the_reason_of_a_cancel_is_no_payload(make_registry: Any) -> None:
    """It is the request's."""
    registry = make_registry(max_payload_bytes=64)
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    await registry.request_cancel("p", cancel(reason="r" * 4_000))

    record = await registry.complete(lease, Cancelled("r" * 4_000))

    assert record.outcome == Cancelled("r" * 4_000)


@pytest.mark.parametrize("most", [8, 64, 1_000, 5_000])
@pytest.mark.parametrize("text", ["x", "é", "\ud800"], ids=["ascii", "two bytes", "surrogate"])
async def test_a_failure_that_is_too_long_is_shortened(make_registry: Any, most: int, text: str) -> None:
    """It is never refused: its code stays readable, its message keeps the beginning, its traceback the end."""
    registry = make_registry(max_payload_bytes=most)
    await registry.register(work())
    lease = await begun(registry, "p", ADA)
    failure = Failure("shop.Broken", f"first {text * 10_000}", f"{text * 10_000} last")

    record = await registry.complete(lease, failure)

    assert (record.status, record.phase) == (ProcessStatus.FAILED, None)
    outcome = record.outcome
    assert isinstance(outcome, Failure)
    assert outcome.code == "shop.Broken"
    assert outcome.message.startswith("first ")
    assert outcome.traceback.endswith(" last")
    assert len(registry.encoded(outcome)[1]) <= max(most, 1024)
    assert registry.encoded(outcome) == registry.encoded(failure)


async def test_a_failure_that_fits_is_written_as_it_is(registry: ProcessRegistry) -> None:
    """A long one too."""
    failure = Failure("shop.Broken", "m" * 100_000, "t" * 100_000)
    await registry.register(work())

    record = await registry.complete(await begun(registry, "p", ADA), failure)

    assert record.outcome == failure


async def test_a_row_that_is_read_by_a_sweep_says_where_it_stands(registry: ProcessRegistry) -> None:
    """Without its input all facts of a verdict are there."""
    (id_,) = await registered(registry, 100 * KB)
    lease = await held(registry, id_, ADA, LONG_MS)

    (row,) = (await registry.page(0, LEASES)).rows

    assert (row.phase, row.lease(), row.is_live) == (Phase.HELD, lease, True)
