"""served: what the workers that live say of a lane."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.lanes import ALONE, lane
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.service import LaneService
from tests.conformance.actors import ADA, BOB, batch_claim
from tests.conftest import ServerTime

SIGNED = "0123456789abcdef"


async def serve(registry: ProcessRegistry, *lanes: str) -> None:
    """Let a worker claim by a list of lanes."""
    queues = dict.fromkeys(each.partition("|")[0] for each in lanes)
    served = [(queue, [each for each in lanes if each.startswith(f"{queue}|")]) for queue in queues]
    await registry.claim_next(batch_claim(registry, ADA, count=0, served=served))


async def service_of(registry: ProcessRegistry, asked: str) -> LaneService:
    """Return what is said of one lane."""
    return (await registry.served(0, [asked]))[asked]


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

    assert (service.lists, service.why_it_waits) == (0, "no worker lives")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (lane("default", "work", "f" * 16), "workers that live declare it only with other signatures"),
        (lane("default", "nowhere"), "no worker that lives declares it in queue 'default'"),
        (lane("default", "tasks.add"), "no worker that lives declares it; some declare 'app.tasks.add'"),
        (lane("default", "tasks.mail"), "no worker that lives declares it; some declare 'app.mail' in queue 'mails'"),
        (lane("mails", "work"), "no worker that lives declares it in queue 'mails'; some do in queue 'default'"),
        (lane("elsewhere"), "no worker that lives serves queue 'elsewhere'"),
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

    assert (await service_of(registry, lane("default", "work"))).why_it_waits == "no worker lives"

    await registry.claim_next(batch_claim(registry, BOB, count=0, served=[("default", [lane("default", "work")])]))
    assert (await service_of(registry, lane("default", "work"))).is_served


async def test_five_hundred_lanes_are_looked_at(registry: ProcessRegistry) -> None:
    """As many as the rows of a page."""
    await serve(registry, lane("default", "work"))

    found = await registry.served(0, [lane("default", f"t{number:03}") for number in range(600)])

    assert len(found) == 500


async def test_the_latest_lists_of_many_are_looked_at(registry: ProcessRegistry) -> None:
    """Each release and each choice of tasks has a list of its own."""
    for number in range(80):
        await serve(registry, lane("default", f"t{number}"))

    assert (await service_of(registry, lane("default", "t79"))).is_served
