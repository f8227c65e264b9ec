"""What operators see and ask for, as data: requests and what follows from them, counts, views."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, get_type_hints

import fakeredis
import msgspec
import pytest

from lash_redis.core.errors import NothingToAbandon, UnknownProcess
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import Phase, ProcessStatus
from lash_redis.core.options import OPTIONS
from lash_redis.core.outcomes import Success
from lash_redis.core.places import BY_URGENCY
from lash_redis.operate.counts import count, namespace_view
from lash_redis.operate.explain import OwnerLife, explain, explanation_view
from lash_redis.operate.requests import RequestReport, abandon, cancel, request_view
from lash_redis.operate.row_views import RowView, row_view
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, RERUNNABLE, held, outside, work

Ask = Callable[[ProcessRegistry, str, str, str], Awaitable[RequestReport]]


@pytest.fixture
async def registry() -> AsyncIterator[ProcessRegistry]:
    """Return a registry with a process of each kind: queued, outside, running (bound or not), uncertain, ended."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(), "operate", 2)
    await registry.register_many([work("queued"), outside("outside")])
    for process_id, disposition in (("bound", OWNER_BOUND), ("free", RERUNNABLE), ("ended", RERUNNABLE)):
        await registry.register(work(process_id, disposition, task=process_id))
        await registry.start(await held(registry, process_id, ADA))
    await registry.complete((await registry.lease("ended")) or pytest.fail("held"), Success({"paid": True}))
    await registry.register(work("uncertain", OWNER_BOUND, task="uncertain"))
    lease = await held(registry, "uncertain", LeaseOwner.local_process("here", "here-1"))
    await registry.start(lease)
    await registry.release(lease)
    yield registry
    await registry.aclose()


@pytest.mark.parametrize(
    ("ask", "process_id", "follows"),
    [
        (cancel, "queued", "it is cancelled"),
        (cancel, "outside", "its outside actor is shown the request, no more"),
        (cancel, "bound", "ada holds it and is told"),
        (cancel, "uncertain", "a cancel settles no uncertainty"),
        (abandon, "outside", "the next sweep writes abandoned"),
        (abandon, "bound", "ada holds it: its work is asked to stop"),
        (abandon, "uncertain", "the next sweep writes abandoned"),
    ],
)
async def test_a_request_says_what_follows(ask: Ask, process_id: str, follows: str, registry: ProcessRegistry) -> None:
    """In one sentence, which every user interface shows and which names no command of one of them."""
    report = await ask(registry, process_id, "ops", "enough")

    assert report.recorded
    assert report.request is not None
    assert (report.request.requested_by, report.request.reason) == ("ops", "enough")
    assert follows in report.follows
    assert "lash-redis" not in report.follows


@pytest.mark.parametrize("ask", [cancel, abandon])
async def test_of_two_requests_the_first_stands(ask: Ask, registry: ProcessRegistry) -> None:
    """The second report says that nothing was recorded, and shows the request that stands."""
    first = await ask(registry, "bound", "ada", "stuck")
    second = await ask(registry, "bound", "bob", "me too")

    assert first.recorded
    assert not second.recorded
    assert second.request == first.request


async def test_what_the_registry_refuses_is_raised(registry: ProcessRegistry) -> None:
    """No report is made of it."""
    with pytest.raises(NothingToAbandon):
        await abandon(registry, "free", "ops", "enough")
    with pytest.raises(UnknownProcess):
        await cancel(registry, "nobody", "ops", "enough")
    with pytest.raises(UnknownProcess):
        await explain(registry, "nobody")


async def test_an_explanation_names_the_line_and_what_a_sweep_does(registry: ProcessRegistry) -> None:
    """Starter and holder are judged from here; a terminal row has neither."""
    bound, ended = await explain(registry, "bound"), await explain(registry, "ended")

    assert bound.starter is not None
    assert bound.starter == bound.holder
    assert (bound.starter.life, bound.verdict.line, bound.sweep_does) == (OwnerLife.UNKNOWN, 4, "leaves it as it is")
    assert (ended.starter, ended.holder, ended.verdict.line) == (None, None, 1)


async def test_counts_are_summed_over_partitions(registry: ProcessRegistry) -> None:
    """Phases come in the order of their urgency, and states without a row count as none."""
    await abandon(registry, "uncertain", "ops", "enough")

    totals = await count(registry)

    assert list(totals.phases.items()) == [
        (Phase.UNCERTAIN, 1), (Phase.STARTED, 2), (Phase.HELD, 0), (Phase.OUTSIDE, 1), (Phase.QUEUED, 1),
        (Phase.BLOCKED, 0), (Phase.DELAYED, 0),
    ]  # fmt: skip
    assert totals.statuses[ProcessStatus.COMPLETED] == 1
    assert totals.statuses[ProcessStatus.FAILED] == 0
    assert (totals.abandon_requested, totals.lapsed) == (1, 0)
    assert (totals.workers, totals.queues) == (2, [])


async def test_views_are_plain_data(registry: ProcessRegistry) -> None:
    """JSON carries them as they are."""
    page = await registry.list_by_phase(BY_URGENCY, 500)
    views: list[Any] = [
        namespace_view(registry, await count(registry), page, {"uncertain": "why"}),
        explanation_view(await explain(registry, "uncertain")),
        explanation_view(await explain(registry, "ended")),
        request_view(await cancel(registry, "outside", "ops", "enough")),
    ]

    assert [json.loads(msgspec.json.encode(view)) for view in views] == views
    assert views[0]["processes"][0]["id"] == "uncertain"
    assert views[2]["process"]["outcome"] == {"status": "completed", "value": {"paid": True}}


async def test_a_row_is_shown_with_every_option(registry: ProcessRegistry) -> None:
    """An option that is added is shown without a change of the view, and a type checker knows its key."""
    row = await registry.row("queued") or pytest.fail("it is registered")
    shown: dict[str, Any] = {**row_view(row)}

    assert {name: shown[name] for name in OPTIONS} == msgspec.to_builtins(row.options)
    assert list(shown.keys() - get_type_hints(RowView).keys()) == []
    assert {name: get_type_hints(RowView)[name] for name in OPTIONS} == {
        name: field.type for name, field in OPTIONS.items()
    }
