"""register: new work into its lane, all of a batch or none."""

from __future__ import annotations

from typing import Any

import fakeredis
import msgspec
import pytest

from lash_redis.core.errors import RegistrationConflict, SettingsError
from lash_redis.core.model import ExternalInput, Phase, ProcessRegistration, ProcessStatus, TaskInput
from lash_redis.core.outcomes import Success
from lash_redis.core.policies import Policy
from lash_redis.core.terms import Terms
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    EXTERNALLY_OWNED,
    OWNER_BOUND,
    RERUNNABLE,
    batch_claim,
    begun,
    ids_of,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of, row_of
from tests.soundness import keyspace

SECRET = "4242 4242"


async def test_new_work_stands_queued_as_it_was_registered(registry: ProcessRegistry) -> None:
    """The record carries every word of the registration, and nothing has happened to it yet."""
    record = await registry.register(work("p", OWNER_BOUND, 1, "two", queue="slow", loss_limit=3))

    assert record.id == "p"
    assert record.input == TaskInput("work", (1, "two"))
    assert (record.disposition, record.queue, record.loss_limit) == (OWNER_BOUND, "slow", 3)
    assert (record.status, record.phase) == (ProcessStatus.RUNNING, Phase.QUEUED)
    assert not record.is_terminal
    assert record.first_started is None
    assert (record.outcome, record.abandon_request, record.cancel_request) == (None, None, None)
    assert record == await registry.get("p")


async def test_externally_owned_work_stands_outside(registry: ProcessRegistry) -> None:
    """It enters no lane, so no claim can meet it; its grantee stands on the record."""
    record = await registry.register(outside("p", granted_to="desk"))

    assert (record.phase, record.disposition, record.granted_to) == (Phase.OUTSIDE, EXTERNALLY_OWNED, "desk")
    assert record.input == ExternalInput({"to": "sign"})


async def test_the_same_content_again_answers_the_record_as_it_stands(registry: ProcessRegistry) -> None:
    """Registering is idempotent, whatever became of the process meanwhile."""
    await registry.register(work())
    ended = await registry.complete(await begun(registry, "p", ADA), Success(1))

    assert await registry.register(work()) == ended
    assert await registry.register_many([work()]) == [False]


@pytest.mark.parametrize(
    "other",
    [
        work("p", RERUNNABLE, "other"),
        work("p", RERUNNABLE, task="other"),
        work("p", OWNER_BOUND),
        ProcessRegistration("p", ExternalInput({}), RERUNNABLE),
        work("p", RERUNNABLE, granted_to="desk"),
    ],
    ids=["arguments", "task", "disposition", "input kind", "grantee"],
)
async def test_other_content_under_the_same_id_is_a_conflict(
    registry: ProcessRegistry, other: ProcessRegistration
) -> None:
    """Task, arguments, disposition, input kind and grantee are content; the first registration stands."""
    first = await registry.register(work())

    with pytest.raises(RegistrationConflict, match="process 'p' is registered already, ") as refusal:
        await registry.register(other)
    assert await registry.get("p") == first
    assert "sent together" not in str(refusal.value)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (work("p", RERUNNABLE, "a", "b"), "with another value of argument number 2"),
        (work("p", RERUNNABLE, "a"), "with 2 arguments by position, not with 1"),
        (work("p", RERUNNABLE, "a", SECRET, task="mail"), "for task 'work', not for 'mail'"),
        (work("p", OWNER_BOUND, "a", SECRET), "as rerunnable, not as owner_bound"),
        (work("p", RERUNNABLE, "a", SECRET, granted_to="desk"), "granted to anybody, not to 'desk'"),
        (ProcessRegistration("p", ExternalInput(), RERUNNABLE), "for a task, not for work outside"),
        (
            ProcessRegistration("p", TaskInput("work", ("a", SECRET), {"b": 1}), RERUNNABLE),
            "with other arguments by name: b",
        ),
        (work("p", OWNER_BOUND, "c", SECRET), "as rerunnable, not as owner_bound; with another value of argument numb"),
        (work("p", RERUNNABLE, True, SECRET), "with another value of argument number 1"),
    ],
)
async def test_a_conflict_says_what_differs_and_shows_no_argument(wanted: ProcessRegistration, says: str) -> None:
    """Of one registration it speaks of no batch."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(), "differs")
    await registry.register(work("p", RERUNNABLE, "a", SECRET))

    with pytest.raises(RegistrationConflict) as refusal:
        await registry.register(wanted)
    assert str(refusal.value).startswith(f"process 'p' is registered already, {says}")
    assert SECRET not in str(refusal.value)
    await registry.aclose()


async def test_what_differs_in_its_type_alone_is_other_content() -> None:
    """Python calls True and 1 equal, and a payload does not."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(), "differs")
    await registry.register(work("p", RERUNNABLE, 1))
    with pytest.raises(RegistrationConflict, match="'p' is registered already, with other content"):
        await registry.register(work("p", RERUNNABLE, True))
    await registry.aclose()


async def test_the_metadata_of_external_work_is_content(registry: ProcessRegistry) -> None:
    """What the outside actor reads is part of what was registered."""
    await registry.register(outside())

    with pytest.raises(RegistrationConflict):
        await registry.register(msgspec.structs.replace(outside(), input=ExternalInput({"to": "burn"})))


async def test_the_order_of_keyword_arguments_is_no_content(registry: ProcessRegistry) -> None:
    """Arguments have one canonical encoding."""
    await registry.register(ProcessRegistration("p", TaskInput("work", (), {"a": 1, "b": 2}), RERUNNABLE))

    again = ProcessRegistration("p", TaskInput("work", (), {"b": 2, "a": 1}), RERUNNABLE)
    assert await registry.register_many([again]) == [False]


async def test_the_queue_is_no_content(registry: ProcessRegistry) -> None:
    """The same work in another queue is the same work, and stays where it was first put."""
    await registry.register(work(queue="first"))

    assert (await registry.register(work(queue="second"))).queue == "first"


async def test_a_batch_with_a_conflict_registers_nothing(registry: ProcessRegistry, partitions: int) -> None:
    """All of a batch or none, and the error names what stood in the way."""
    known, new = ids_of(2, 0, partitions)
    await registry.register(work(known))

    with pytest.raises(RegistrationConflict) as refusal:
        await registry.register_many([work(new), work(known, RERUNNABLE, "other")])

    assert refusal.value.process_ids == [known]
    assert "none of the 2 that were sent together is registered" in str(refusal.value)
    assert await registry.get(new) is None


async def test_an_id_twice_in_a_batch_is_refused(registry: ProcessRegistry) -> None:
    """Ids are distinct within a batch."""
    with pytest.raises(SettingsError, match="'p' twice"):
        await registry.register_many([work(), work()])
    assert await registry.get("p") is None


async def test_a_batch_answers_in_its_order_over_all_partitions(registry: ProcessRegistry) -> None:
    """Which were new is said id by id, wherever each stands."""
    await registry.register_many([work(f"p{number}") for number in range(0, 30, 2)])

    answers = await registry.register_many([work(f"p{number}") for number in range(30)])

    assert answers == [number % 2 == 1 for number in range(30)]


async def test_a_large_registration_is_sent_in_batches(registry: ProcessRegistry) -> None:
    """More rows than a script may touch are no concern of the caller's."""
    answers = await registry.register_many(work(f"p{number}") for number in range(1_001))

    assert answers == [True] * 1_001
    queued = [sum((await registry.counts(number)).lanes.values()) for number in range(registry.partitions)]
    assert sum(queued) == 1_001


async def test_policies_are_stored_before_what_they_hold_for(registry: ProcessRegistry) -> None:
    """Also if no signature is named beside them."""
    limit = Policy("api", keyed=False, limit=8)

    await registry.submit_many([work("p", key="k", scopes=",api")], Terms(policies=[limit]))

    assert [each.policy.limit for each in await registry.limits()] == [8 // registry.partitions]


async def test_a_lane_hands_out_in_the_order_of_registration(registry: ProcessRegistry, partitions: int) -> None:
    """Order holds within a partition."""
    ids = ids_of(20, 0, partitions)
    await registry.register_many([work(id_) for id_ in reversed(ids)])

    batch = await registry.claim_next(batch_claim(registry, ADA, count=20))

    assert [row.process_id for row in batch.rows] == ids[::-1]


async def test_a_long_input_stands_beside_its_row(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """A long value would end the row's compact encoding; it reads, and is handed out, all the same."""
    (id_,) = ids_of(1, 0, partitions)
    text = "x" * 1_000
    await registry.register(work(id_, RERUNNABLE, text))

    assert f"i:{id_}" in (await keyspace(client, namespace))[0]
    record = await record_of(registry, id_)
    assert record.input == TaskInput("work", (text,))
    batch = await registry.claim_next(batch_claim(registry, ADA))
    assert msgspec.msgpack.decode(batch.rows[0].input) == [[text], {}]


@pytest.mark.parametrize("partitions", [1])
async def test_a_lane_that_has_no_number_stands_whole_in_its_rows(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """A program that invents queues does not fill the server. Both kinds of rows are handed out."""
    names, key = f"{{lash:{namespace}:0}}:names", f"{{lash:{namespace}:0}}:p:"
    await registry.open()
    await client.hset(names, "last", 4095)

    await registry.register_many([work("p"), work("q"), work("r", task="other"), work("s", task="other")])

    assert [await client.hget(f"{key}{each}", "ln") for each in "pqrs"] == [b"4096"] * 2 + [b"=default|other|"] * 2
    assert await client.hgetall(names) == {b"last": b"4096", b"4096": b"default|work|", b"default|work|": b"4096"}
    assert (await record_of(registry, "r")).input == TaskInput("other", ())
    served = (("default", ("default|other|", "default|work|")),)
    batch = await registry.claim_next(batch_claim(registry, ADA, count=9, served=served))
    assert [each.process_id for each in batch.rows] == ["p", "q", "r", "s"]
    await client.hset(names, mapping={"last": 1, "1": "default|work|", "default|work|": 1})
    await client.hdel(names, "4096")
    for each in "pq":
        await client.hset(f"{key}{each}", "ln", 1)


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("named", [0, 4095], ids=["numbered", "whole"])
async def test_a_queue_may_be_called_like_the_number_of_a_lane(
    registry: ProcessRegistry, client: Any, namespace: str, named: int
) -> None:
    """Its rows are of its own lane, whether that has a number or not, and the same submit is known again."""
    names: dict[str, Any] = {"last": named}
    for number in range(1, named + 1):
        names |= {f"old{number}|work|": number, str(number): f"old{number}|work|"}
    await registry.open()
    await client.hset(f"{{lash:{namespace}:0}}:names", mapping=names)
    await registry.register(work("p"))
    queues = (f"{named + 1}", f"{named + 1}north")
    rows = [work(id_, task="other", queue=queue) for id_, queue in zip("qr", queues, strict=True)]

    assert await registry.register_many(rows) == [True, True]
    assert await registry.register_many(rows) == [False, False]
    assert [(await row_of(registry, id_)).lane for id_ in "qr"] == [f"{queue}|other|" for queue in queues]
    served = tuple((queue, (f"{queue}|other|",)) for queue in queues)
    batch = await registry.claim_next(batch_claim(registry, ADA, count=9, served=served))
    assert [each.process_id for each in batch.rows] == ["q", "r"]


@pytest.mark.parametrize(
    "value", [{"b": 1, "a": 2}, [{"b": 1, "a": [2]}], {"b": {}, "a": "x" * 100}], ids=["short", "nested", "long"]
)
async def test_an_input_whose_order_could_differ_is_known_by_its_digest(registry: ProcessRegistry, value: Any) -> None:
    """Of any other the row says itself what was registered, so that most rows have no digest."""
    turned = {"by": dict(reversed(value.items())) if isinstance(value, dict) else [{"a": [2], "b": 1}]}
    await registry.register(ProcessRegistration("p", TaskInput("work", (), {"by": value}), RERUNNABLE))

    assert await registry.register_many([ProcessRegistration("p", TaskInput("work", (), turned), RERUNNABLE)]) == [
        False
    ]
    assert b"cd" in (await row_of(registry, "p")).fields
    await registry.register(work("q", RERUNNABLE, 1, "two", [3, {"four": 4}]))
    assert b"cd" not in (await row_of(registry, "q")).fields


@pytest.mark.parametrize("bytes_", [63, 64, 65, 66])
async def test_no_length_of_input_is_lost_between_row_and_key(registry: ProcessRegistry, bytes_: int) -> None:
    """An input reads the same on both sides of the limit of 64 bytes."""
    text = "x" * (bytes_ - len(msgspec.msgpack.encode([[""], {}])) - 1)

    record = await registry.register(work("p", RERUNNABLE, text))

    assert record.input == TaskInput("work", (text,))


async def test_rows_name_no_client_clock(registry: ProcessRegistry, server: ServerTime) -> None:
    """When something was registered is the server's word."""
    before = await server.now_ms()
    record = await registry.register(work())

    assert before <= record.registered_at_ms <= await server.now_ms()
