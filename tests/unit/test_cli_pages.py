"""Which rows a page of ``ps`` has, and what it says of why they wait."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import fakeredis
import pytest

from lash_redis.cli import main, ps
from lash_redis.core.outcomes import Failure
from lash_redis.core.policies import Policy
from lash_redis.operate.page_notes import notes_of
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, batch_claim, held, work
from tests.look import row_of


@pytest.fixture
async def registry() -> AsyncIterator[ProcessRegistry]:
    """Return a registry on a server of the test's own."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()), "pages")
    yield registry
    await registry.aclose()


async def printed(registry: ProcessRegistry, *argv: str) -> str:
    """Return what ``ps`` prints."""
    return await ps._ps(registry, main._parser(["ps"]).parse_args(["ps", *argv]))


async def listed(registry: ProcessRegistry, *argv: str) -> dict[str, Any]:
    """Return what ``ps`` answers as data."""
    found: dict[str, Any] = json.loads(await printed(registry, *argv, "--json"))
    return found


async def all_pages(registry: ProcessRegistry, *argv: str) -> list[list[str]]:
    """Return the ids of each page, from the first to the last."""
    pages: list[list[str]] = []
    cursor: tuple[str, ...] = ()
    while True:
        found = await listed(registry, *argv, *cursor)
        pages.append([each["id"] for each in found["processes"]])
        if found["cursor"] is None:
            return pages
        cursor = ("--cursor", found["cursor"])


async def test_a_queue_and_a_task_are_listed_alone_and_no_row_twice(registry: ProcessRegistry) -> None:
    """Whatever phase or state they have, page by page; a page has no more rows than were asked for."""
    for number in range(12):
        await registry.register(work(f"a{number}", queue="mail" if number % 3 else "post", task="send"))
        await registry.register(work(f"b{number}", queue="mail", task="other", delay_ms=60_000))
    for number in (1, 2):
        await registry.complete(await held(registry, f"a{number}", ADA), Failure("E"))
    await held(registry, "a4", ADA)

    mail = {f"a{number}" for number in (4, 5, 7, 8, 10, 11)}
    pages = await all_pages(registry, "--queue", "mail", "--task", "send", "--limit", "2")
    assert sorted(each for page in pages for each in page) == sorted(mail)
    assert max(map(len, pages)) <= 2
    delayed = await all_pages(registry, "--task", "other", "--phase", "delayed", "--limit", "5")
    assert sorted(each for page in delayed for each in page) == sorted(f"b{number}" for number in range(12))
    assert await all_pages(registry, "--queue", "post", "--phase", "delayed") == [[]]
    failed = await all_pages(registry, "--state", "failed", "--queue", "mail", "--limit", "1")
    assert sorted(each for page in failed for each in page) == ["a1", "a2"]
    found = await printed(registry, "--queue", "mail", "--task", "send", "--limit", "2")
    assert "more: --limit 2 --queue mail --task send --cursor " in found
    assert "queued by queue: mail 5, post 4" in found
    assert (await listed(registry))["queued"] == {"mail": 5, "post": 4}


async def test_a_row_says_for_what_it_waits(registry: ProcessRegistry) -> None:
    """Of a halted sequence, a limit, and other processes; not of its turn."""
    scopes = "!work,"
    lane = "default|work||!work,"
    await registry.register_many([work(name, OWNER_BOUND, key="ada", scopes=scopes) for name in ("s1", "s2", "s3")])
    await registry.name_policies(0, [Policy("one", keyed=True, limit=1)])
    await registry.register_many([work(name, key="k", scopes="one,") for name in ("l1", "l2")])
    await registry.register(work("b", after=("l1", "l2"), if_failed="run"))
    limited = "default|work||one,"
    await registry.claim_next(batch_claim(registry, ADA, count=0, served=[("default", (lane, limited))]))

    rows = [await row_of(registry, name) for name in ("s1", "s2", "s3", "l1", "l2", "b")]
    assert await notes_of(registry, rows) == {
        "s2": "behind s1",
        "s3": "behind s1",
        "b": "it waits for 2 to end: l1 (queued), …",
    }

    lease = await held(registry, "s1", ADA)
    await registry.start(lease)
    await registry.release(lease)
    await held(registry, "l1", ADA)
    notes = await notes_of(registry, [await row_of(registry, name) for name in ("s2", "l2")])
    assert notes["s2"] == "halted: s1 is uncertain"
    assert "limit" in notes["l2"]
