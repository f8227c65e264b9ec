"""Many at once: what filters mean is found by indexes, cancelled in batches, and submitted again once."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Failure, Resolution, ResolutionKind
from lash_redis.registry.calls import bulk, selecting
from lash_redis.registry.calls.forgetting import Retention
from lash_redis.registry.calls.replaying import replay_id
from lash_redis.registry.calls.selecting import Which
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandoned,
    begun,
    cancel,
    held,
    ids_of,
    outside,
    settled,
    work,
)
from tests.look import record_of, sent


async def failed(registry: ProcessRegistry, process_id: str, *args: Any, **options: Any) -> None:
    """Register a process and let it fail."""
    await registry.register(work(process_id, RERUNNABLE, *args, **options))
    await registry.complete(await held(registry, process_id, ADA), Failure("E", "no"))


async def test_all_that_is_meant_is_cancelled_and_nothing_else(
    registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queued, delayed and held; by queue and task, over all partitions and more than a page."""
    monkeypatch.setattr(selecting, "MAX_BATCH", 3)
    meant = [f"p{number}" for number in range(8)]
    await registry.register_many([work(each, queue="mail", task="send") for each in meant])
    await registry.register_many([work("later", queue="mail", task="send", delay_ms=60_000)])
    await registry.register_many([work("other-task", queue="mail"), work("other-queue", task="send")])
    await held(registry, "p0", ADA)
    which = Which(queue="mail", task="send")

    counted = await registry.cancel_many(cancel(), which, only_count=True)
    assert (counted.found, counted.done, len(counted.first)) == (9, {}, 9)
    report = await registry.cancel_many(cancel(), which)
    again = await registry.cancel_many(cancel(), which)

    assert report.done == {"cancelled": 8, "asked": 1}
    assert (again.found, again.left_out) == (0, {"has a cancel request already": 1})
    assert (await record_of(registry, "p0")).cancel_request == cancel()
    assert (await record_of(registry, "later")).status is ProcessStatus.CANCELLED
    for each in ("other-task", "other-queue"):
        assert (await record_of(registry, each)).cancel_request is None


async def test_of_queued_work_only_the_lanes_that_are_meant_are_read(registry: ProcessRegistry) -> None:
    """A million rows of another task cost nothing; where there is no index, it is said how many were read."""
    await registry.register_many([work(f"p{number}", task="other") for number in range(30)])
    await registry.register(work("q", task="send"))

    by_index = await registry.cancel_many(cancel(), Which(task="send"), only_count=True)
    by_age = await registry.cancel_many(cancel(), Which(older_than_ms=0), only_count=True)

    assert (by_index.found, by_index.read) == (1, 1)
    assert (by_age.found, by_age.read) == (31, 31)


async def test_a_label_finds_its_processes_whatever_else_there_is(registry: ProcessRegistry) -> None:
    """All labels that are given must be there; what has ended is left out, and said."""
    await registry.register_many([work(f"p{number}") for number in range(30)])
    for each, labels in (("a", {"tenant": "1"}), ("b", {"tenant": "1", "kind": "x"}), ("c", {"tenant": "1"})):
        await registry.register(work(each, labels=labels))
    await registry.request_cancel("c", cancel(at_ms=7))

    one = await registry.cancel_many(cancel(), Which(labels={"tenant": "1"}), only_count=True)
    both = await registry.cancel_many(cancel(), Which(labels={"tenant": "1", "kind": "x"}))

    assert (sorted(one.first), one.left_out, one.read) == (["a", "b"], {"has ended": 1}, 3)
    assert (both.first, both.done) == (["b"], {"cancelled": 1})


async def test_only_what_is_old_enough_or_in_a_phase_is_meant(registry: ProcessRegistry) -> None:
    """Age counts from the registration, by the server's clock."""
    await registry.register_many([work("old"), work("new"), work("later", delay_ms=60_000)])
    registered_ms = (await record_of(registry, "old")).registered_at_ms - 2 * LONG_MS  # as if it were older
    row = f"{partition_prefix(registry.namespace, registry.partition_of('old'))}:p:old"
    await sent(registry, "HSET", row, "at", registered_ms)

    aged = await registry.cancel_many(cancel(), Which(older_than_ms=2 * LONG_MS), only_count=True)
    delayed = await registry.cancel_many(cancel(), Which(phase=Phase.DELAYED), only_count=True)

    assert aged.first == ["old"]
    assert delayed.first == ["later"]


async def test_no_more_than_was_asked_for_is_done(registry: ProcessRegistry) -> None:
    """And the report says that there is more."""
    await registry.register_many([work(f"p{number}") for number in range(5)])

    first = await registry.cancel_many(cancel(), Which(queue="default"), most=3)
    rest = await registry.cancel_many(cancel(), Which(queue="default"), most=3)

    assert (first.found, first.has_more) == (3, True)
    assert (rest.found, rest.has_more) == (2, False)


async def test_a_batch_that_is_sent_again_answers_the_same(registry: ProcessRegistry) -> None:
    """What ended otherwise meanwhile is not said to be cancelled."""
    one, two, three = ids_of(3, 0, registry.partitions)
    await registry.register_many([work(one), work(two), work(three)])
    await held(registry, two, ADA)
    await registry.request_cancel(three, cancel(at_ms=9))
    call = bulk.cancel_call(b"request", 0, [one, two, three, "nobody"])

    first = await registry.sender.send(call)

    assert first == ["cancelled", "asked", "gone", "gone"]
    assert await registry.sender.send(call) == first


async def test_what_failed_is_submitted_again_as_a_new_process_that_names_the_old_one(
    registry: ProcessRegistry,
) -> None:
    """With the same arguments, options and labels; the same replay again makes no second process."""
    long = "x" * 200
    labels = {"tenant": "1"}
    await failed(registry, "order", long, queue="mail", priority=3, loss_limit=2, labels=labels)
    await failed(registry, "other")

    report = await registry.replay_many(Which(status=ProcessStatus.FAILED, queue="mail"))
    again = await registry.replay_many(Which(status=ProcessStatus.FAILED, queue="mail"))

    assert (report.found, report.done) == (1, {"submitted": 1})
    counted = await registry.replay_many(Which(status=ProcessStatus.FAILED, queue="mail"), only_count=True)
    assert (again.found, again.done, again.left_out) == (0, {}, {"submitted before": 1})
    assert counted == again
    old, new = await record_of(registry, "order"), await record_of(registry, replay_id("order"))
    assert (new.replay_of, new.status, new.phase) == ("order", ProcessStatus.RUNNING, Phase.QUEUED)
    assert (new.input, new.disposition, new.labels) == (old.input, old.disposition, labels)
    assert (new.queue, new.priority, new.loss_limit) == ("mail", 3, 2)
    assert old.status is ProcessStatus.FAILED


async def test_a_replay_of_many_goes_on_where_the_last_one_ended(
    registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how many were submitted before, also of a replay that ended and was forgotten."""
    monkeypatch.setattr(selecting, "MAX_BATCH", 3)
    for number in range(7):
        await failed(registry, f"p{number}", queue="mail")
    which = Which(status=ProcessStatus.FAILED, queue="mail")
    (old,) = (await registry.replay_many(which, most=1)).first
    await registry.request_cancel(replay_id(old), cancel())
    partition = registry.partition_of(old)
    ended = f"{partition_prefix(registry.namespace, partition)}:done:work|k"
    await sent(registry, "ZADD", ended, 1, replay_id(old))  # as if it had ended long ago
    assert (await registry.retain(partition, Retention(10 * LONG_MS, 100, LONG_MS))).rows == 1

    reports = [await registry.replay_many(which, most=4) for _ in range(3)]

    assert [(each.done, each.has_more) for each in reports] == [
        ({"submitted": 4}, True), ({"submitted": 2}, False), ({}, False),
    ]  # fmt: skip
    assert reports[2].left_out == {"submitted before": 7}


async def test_a_replay_can_be_replayed(registry: ProcessRegistry) -> None:
    """That is how something runs a third time: the same id is never healed."""
    await failed(registry, "p")
    assert await registry.replay(["p"]) == ["submitted"]
    lease = await held(registry, replay_id("p"), ADA)
    await registry.complete(lease, Failure("E", "no"))

    assert await registry.replay(["p", replay_id("p")]) == ["submitted before", "submitted"]
    assert (await record_of(registry, replay_id(replay_id("p")))).replay_of == replay_id("p")


@pytest.mark.parametrize("kind", [*ResolutionKind])
async def test_abandoned_work_is_submitted_again_only_once_it_is_known_that_it_may(
    registry: ProcessRegistry, kind: ResolutionKind
) -> None:
    """What happened is never done twice, and of what nobody has resolved nobody knows."""
    await registry.register(work("p", OWNER_BOUND))
    await begun(registry, "p", ADA)
    assert await settled(registry, "p", "fact", abandoned(AbandonWriter.SWEEP, ADA), even_if_live=True)
    (refused,) = await registry.replay(["p"])
    assert refused.startswith("was abandoned, and is not resolved as did_not_happen or accepted")

    await registry.resolve("p", Resolution(kind, "ops", 1))

    assert await registry.replay(["p"]) == [refused if kind is ResolutionKind.HAPPENED else "submitted"]


async def test_what_may_not_be_submitted_again_says_why(registry: ProcessRegistry) -> None:
    """And stops no other."""
    await registry.register_many([work("runs"), outside("elsewhere")])
    await failed(registry, "p")

    assert await registry.replay(["nobody", "runs", "p", "elsewhere"]) == [
        "is not registered (or was pruned)", "has not ended", "submitted", "has not ended",
    ]  # fmt: skip


@pytest.mark.parametrize("process_id", ["p", "order::7", "::7", "r" * 256, "r" * 250 + "::7"])
def test_a_replay_has_an_id_of_its_own_on_the_same_route(process_id: str) -> None:
    """Where it fits; it is always an id, and another one for each process."""
    made = replay_id(process_id)

    assert work(made).id == made != replay_id(f"{process_id[:-1]}x")
    assert len(process_id) > 200 or made.partition("::")[0] == process_id.partition("::")[0]


async def test_nothing_that_says_which_is_no_way_to_mean_all(registry: ProcessRegistry) -> None:
    """Nor is a state a way to cancel, or none a way to replay."""
    with pytest.raises(SettingsError, match="at least one of queue, task, phase, labels or older_than"):
        await registry.cancel_many(cancel(), Which())
    with pytest.raises(SettingsError, match="what has ended cannot be cancelled"):
        await registry.cancel_many(cancel(), Which(status=ProcessStatus.FAILED))
    with pytest.raises(SettingsError, match="expected state"):
        await registry.replay_many(Which(queue="default"))
