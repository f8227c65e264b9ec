"""served: what the workers that live say of a lane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from lash_redis.core.errors import UnreadableRow
from lash_redis.core.lanes import ALONE, lane
from lash_redis.core.places import BY_URGENCY
from lash_redis.operate.why_it_waits import why_they_wait
from lash_redis.registry.calls import serving
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.registry.service import LIVING_MS, LaneService, Living
from tests.conformance.actors import ADA, BOB, batch_claim, ids_of, work
from tests.conftest import Backend, ServerTime

SIGNED = "0123456789abcdef"


async def serve(registry: ProcessRegistry, *lanes: str) -> None:
    """Let a worker claim by a list of lanes."""
    queues = dict.fromkeys(each.partition("|")[0] for each in lanes)
    served = [(queue, [each for each in lanes if each.startswith(f"{queue}|")]) for queue in queues]
    await registry.claim_next(batch_claim(registry, ADA, count=0, served=served))


async def service_of(registry: ProcessRegistry, asked: str) -> LaneService:
    """Return what is said of one lane."""
    (process_id,) = ids_of(1, 0, registry.partitions)
    return await registry.service_of(process_id, asked)


async def test_a_lane_that_a_worker_serves_is_served(registry: ProcessRegistry) -> None:
    """Also for rows that run alone."""
    await serve(registry, lane("default", "work"), lane("default", "work", SIGNED))

    found = await registry.served(0, [lane("default", "work", SIGNED), lane("default", "work", SIGNED) + ALONE])

    assert found == {
        lane("default", "work", SIGNED): LaneService(lane("default", "work", SIGNED), 1, is_served=True, is_known=True)
    }
    assert [each.why_it_waits for each in found.values()] == [""]


async def test_nobody_lives_in_a_new_namespace(registry: ProcessRegistry) -> None:
    """No list of lanes was ever served."""
    service = await service_of(registry, lane("default", "work"))

    assert (service.lists, service.why_it_waits) == (
        0,
        "no worker seems to run: none has called Redis within the last minute",
    )


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (
            lane("default", "work", "f" * 16),
            "workers that called within the last minute declared it only with other signatures",
        ),
        (lane("default", "nowhere"), "no worker that called within the last minute declares it in queue 'default'"),
        (
            lane("default", "tasks.add"),
            "no worker that called within the last minute declares it; some declare 'app.tasks.add'",
        ),
        (
            lane("default", "tasks.mail"),
            "no worker that called within the last minute declares it; some declare 'app.mail' in queue 'mails'",
        ),
        (
            lane("mails", "work"),
            "no worker that called within the last minute declares it in queue 'mails'; some do in queue 'default'",
        ),
        (lane("elsewhere"), "no worker that called within the last minute serves queue 'elsewhere'"),
    ],
)
async def test_why_work_waits_is_said_with_what_is_near(registry: ProcessRegistry, asked: str, why: str) -> None:
    """A name that lacks the package, another queue, another signature: what a newcomer gets wrong."""
    await serve(
        registry,
        lane("default"),
        lane("default", "work"),
        lane("default", "app.tasks.add"),
        lane("mails"),
        lane("mails", "app.mail"),
    )

    assert (await service_of(registry, asked)).why_it_waits == why


async def test_a_worker_that_has_not_called_for_a_minute_does_not_live(
    registry: ProcessRegistry, client: Any, namespace: str, server: ServerTime
) -> None:
    """Its list of lanes stays for a week, and says nothing of today."""
    await serve(registry, lane("default", "work"))
    ((name, _),) = await client.zrange(f"{{lash:{namespace}:0}}:lists", 0, 0, withscores=True)
    await client.zadd(f"{{lash:{namespace}:0}}:lists", {name: await server.now_ms() - 61_000})

    assert (
        await service_of(registry, lane("default", "work"))
    ).why_it_waits == "no worker seems to run: none has called Redis within the last minute"

    await registry.claim_next(batch_claim(registry, BOB, count=0, served=[("default", [lane("default", "work")])]))
    assert (await service_of(registry, lane("default", "work"))).is_served


async def last_call_ms(client: Any, registry: ProcessRegistry) -> int:
    """Return when a worker last called that serves the list of lanes, as it counts."""
    ((_, at),) = await client.zrange(f"{{lash:{registry.namespace}:0}}:lists", 0, -1, withscores=True)
    return int(at)


async def test_what_a_worker_that_leaves_served_counts_as_served_for_a_short_while(
    registry: ProcessRegistry, client: Any, server: ServerTime
) -> None:
    """It is shortened, never lengthened, also if it is sent again; the next call by that list ends it."""
    served = ServedLanes([("default", [lane("default", "work")])])
    await serve(registry, *served.lanes)
    leaving, last = {"list_name": served.name, "lives_on_ms": 9_000}, 10**9  # above the number of every claim here

    await registry.close_claims(0, ADA, last, served.queues, **leaving)  # type: ignore[arg-type]

    at = await last_call_ms(client, registry)
    assert 0 <= await server.now_ms() - at - (LIVING_MS + 1 - 9_000) < 5_000
    for _ in range(2):
        await registry.close_claims(0, ADA, last + 1, served.queues, list_name=served.name, lives_on_ms=LIVING_MS)
        assert await last_call_ms(client, registry) == at
    await registry.close_claims(0, ADA, last, served.queues, list_name=served.name, lives_on_ms=0)
    assert await last_call_ms(client, registry) == at  # a late copy
    assert (await service_of(registry, lane("default", "work"))).is_served
    await registry.close_claims(0, ADA, last + 2, served.queues, list_name=served.name, lives_on_ms=0)
    assert (await service_of(registry, lane("default", "work"))).lists == 0

    await registry.claim_next(batch_claim(registry, BOB, count=0, served=[("default", [lane("default", "work")])]))
    assert (await service_of(registry, lane("default", "work"))).is_served


async def test_a_list_that_is_not_known_any_more_is_not_listed_by_a_worker_that_leaves(
    registry: ProcessRegistry, client: Any
) -> None:
    """A sweep forgot it, or nobody ever named it there."""
    served = ServedLanes([("default", [lane("default", "work")])])

    await registry.close_claims(0, ADA, 5, served.queues, list_name=served.name, lives_on_ms=0)

    assert await client.zcard(f"{{lash:{registry.namespace}:0}}:lists") == 0


async def store_lists(client: Any, prefix: str, now_ms: int, lists: Mapping[str, Sequence[str]]) -> None:
    """Store lists of lanes as workers do, the first one of the latest call."""
    pipeline = client.pipeline(transaction=False)
    for at, (name, lanes) in enumerate(lists.items()):
        twins = [*lanes, *(f"{each}{ALONE}" for each in lanes)]
        pipeline.zadd(f"{prefix}:serves:{name}", dict.fromkeys(twins, 0))
        pipeline.zadd(f"{prefix}:lists", {name: now_ms - at})
    await pipeline.execute()


def listed(*lanes: str) -> dict[str, Sequence[str]]:
    """Return a list of lanes under its name."""
    return {ServedLanes([("", lanes)]).name: sorted(lanes)}


async def test_any_number_of_lanes_is_looked_at(registry: ProcessRegistry) -> None:
    """More than one script may be asked for."""
    await serve(registry, lane("default", "work"), lane("default", "t599"))

    found = await registry.served(0, [lane("default", f"t{number:03}") for number in range(600)])

    assert [each.is_served for each in found.values()] == [False] * 599 + [True]


async def test_all_lists_are_looked_at(registry: ProcessRegistry, client: Any, prefix: str, server: ServerTime) -> None:
    """Each release and each choice of tasks has a list of its own: the oldest of 256 counts as the latest."""
    lists = [listed(lane("default", f"t{number}")) for number in range(256)]
    await store_lists(client, prefix, await server.now_ms(), {k: v for each in lists for k, v in each.items()})

    found = await registry.served(0, [lane("default", f"t{number}") for number in range(257)])

    assert [each.is_served for each in found.values()] == [True] * 256 + [False]
    assert found[lane("default", "t256")].is_unserved


async def test_where_more_lists_are_in_use_nothing_is_said_to_be_served_by_nobody(
    registry: ProcessRegistry, client: Any, prefix: str, server: ServerTime
) -> None:
    """The latest are looked at; of what none of them has nothing is known."""
    lists = [listed(lane("default", f"t{number}")) for number in range(257)]
    await store_lists(client, prefix, await server.now_ms(), {k: v for each in lists for k, v in each.items()})

    assert (await service_of(registry, lane("default", "t0"))).why_it_waits == ""
    for asked in (lane("default", "t256"), lane("default", "t0", SIGNED)):
        service = await service_of(registry, asked)
        assert not service.is_unserved
        assert service.why_it_waits.startswith("unknown whether a worker serves it: workers have 257 lists of lanes")


async def commands(client: Any) -> int:
    """Return how many commands that read sorted sets the server has carried out."""
    stats = await client.info("commandstats")
    return sum(stats[name]["calls"] for name in ("cmdstat_zmscore", "cmdstat_zrange") if name in stats)


async def test_a_look_costs_few_commands(
    registry: ProcessRegistry, client: Any, prefix: str, server: ServerTime, backend: Backend
) -> None:
    """One for each list, and lists times lanes are bounded in one script: the server does nothing else meanwhile."""
    if server.is_fake:
        pytest.skip("it counts no commands")
    lists = [listed(*(lane("default", f"t{number}.{task}") for task in range(500))) for number in range(16)]
    await store_lists(client, prefix, await server.now_ms(), {k: v for each in lists for k, v in each.items()})
    asked = [lane("default", f"unknown{number}") for number in range(400)]
    there = backend.client_of(prefix)
    before, sent = await commands(there), 0

    def counted(namespace: Any, partition: int) -> Iterator[Any]:
        nonlocal sent
        steps, answer = serving.served(namespace, partition, asked), None
        with suppress(StopIteration):
            while True:
                call = steps.send(answer)
                sent += 1
                answer = yield call

    await registry.sender.perform(counted, 0)  # type: ignore[arg-type]
    after = await commands(there)
    await service_of(registry, asked[0])

    assert (sent, after - before) == (4, 4 * (1 + 16)), "128 lanes of 16 lists each, and then 16"
    assert await commands(there) - after == (1 + 16) + (1 + 2), "what is near is looked for in 2,000 names"
    await there.aclose()


async def test_what_is_near_is_the_same_task_before_one_that_is_called_alike(registry: ProcessRegistry) -> None:
    """In another queue; then one of the same last part in this queue, and then in another."""
    here, there = lane("default", "app.add"), lane("a", "old.add")
    asked = lane("default", "tasks.add")
    await serve(registry, there)
    assert (await service_of(registry, asked)).near == there
    await serve(registry, there, here)
    assert (await service_of(registry, asked)).near == here
    await serve(registry, there, here, lane("mails", "tasks.add"))
    assert (await service_of(registry, asked)).near == lane("mails", "tasks.add")


async def test_who_called_lately_is_counted_and_its_queues_are_named(
    registry: ProcessRegistry, client: Any, prefix: str, server: ServerTime
) -> None:
    """Each queue once, however many lanes it has; one whose minute is over is left out."""
    assert await registry.living(0) == Living(0, ())

    await serve(registry, lane("a", "work"), lane("a.b", "work"), lane("a", "other"), lane("b", "work", SIGNED))
    await registry.claim_next(batch_claim(registry, BOB, count=0))
    await client.zadd(f"{prefix}:seen", {"of long ago": 1})
    now = await server.now_ms()
    await store_lists(client, prefix, now, listed(STRANGE_LANE, lane("late", "work")))
    assert await registry.living(0) == Living(2, ("a", "a.b", "b", "default", "late"))

    for key in (f"{prefix}:seen", f"{prefix}:lists"):
        await client.zadd(key, dict.fromkeys(await client.zrange(key, 0, -1), now - 2 * LIVING_MS))
    assert await registry.living(0) == Living(0, ())


STRANGE_LANE = "default;t"
STRANGE_LANES = (STRANGE_LANE, "a|add|x|y", "|add|")


async def test_a_lane_of_a_newer_release_hides_nothing(
    registry: ProcessRegistry, client: Any, prefix: str, server: ServerTime
) -> None:
    """In a list that is served, or asked for (rule 8.15)."""
    await store_lists(client, prefix, await server.now_ms(), listed(*STRANGE_LANES, lane("default", "app.add")))

    assert (await service_of(registry, lane("default", "add"))).near == lane("default", "app.add")
    assert (await service_of(registry, STRANGE_LANE)).is_served
    other = await service_of(registry, STRANGE_LANE + "?")
    assert other.why_it_waits == "no worker that called within the last minute serves lane 'default;t?'"


async def test_a_row_in_a_lane_of_a_newer_release_breaks_no_page(
    registry: ProcessRegistry, client: Any, prefix: str
) -> None:
    """``ps`` leaves it out, and ``show`` says that it cannot be read."""
    strange, plain = ids_of(2, 0, registry.partitions)
    await registry.register_many([work(strange), work(plain, task="other")])
    await serve(registry, lane("default", "third"))
    home = lane("default", "work")
    number = await client.hget(f"{prefix}:p:{strange}", "ln")
    await client.hset(f"{prefix}:p:{strange}", "ln", STRANGE_LANE)
    await client.rename(f"{prefix}:q:{home}", f"{prefix}:q:{STRANGE_LANE}")
    await client.zrem(f"{prefix}:lanes", home)
    await client.zadd(f"{prefix}:lanes", {STRANGE_LANE: 0})

    page = await registry.list_by_phase(BY_URGENCY, 50)
    waits = await why_they_wait(registry, page.rows)
    with pytest.raises(UnreadableRow, match=STRANGE_LANE):
        await registry.row(strange)

    assert waits.keys() == {plain}
    await client.hset(f"{prefix}:p:{strange}", "ln", number)
    await client.rename(f"{prefix}:q:{STRANGE_LANE}", f"{prefix}:q:{home}")
    await client.zrem(f"{prefix}:lanes", STRANGE_LANE)
    await client.zadd(f"{prefix}:lanes", {home: 0})
