"""The registry for code without an event loop: the same operations, with the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lash_redis.core.errors import AuthorityRejected, RegistryUnavailable, UnknownProcess
from lash_redis.core.model import ExternalOwner, Phase, ProcessStatus
from lash_redis.core.outcomes import Success
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.keys import owner_digest
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, LONG_MS, OWNER_BOUND, abandon, begun, cancel, held, outside, work
from tests.look import lease_of


@pytest.fixture
def blocking(registry: ProcessRegistry) -> Iterator[BlockingRegistry]:
    """Return the blocking view of a registry."""
    view = BlockingRegistry(registry)
    yield view
    view.close()


def test_work_is_registered_and_read(blocking: BlockingRegistry) -> None:
    """In batches over all partitions, in the order given."""
    ids = [f"p{number}" for number in range(700)]

    assert blocking.register_many(work(id_) for id_ in ids) == [True] * 700
    assert blocking.register_many([work("p1"), work("new")]) == [False, True]
    assert [row.process_id if row else None for row in blocking.rows(["p3", "nobody", "p4"])] == ["p3", None, "p4"]
    record = blocking.get("p0")
    assert record is not None
    assert record.phase is Phase.QUEUED
    assert blocking.get("nobody") is None


async def test_both_views_read_the_same(blocking: BlockingRegistry, registry: ProcessRegistry) -> None:
    """Whatever state a row is in."""
    blocking.register_many([work("p", OWNER_BOUND), outside("x")])
    await begun(registry, "p", ADA)

    for id_ in ("p", "x"):
        assert blocking.get(id_) == await registry.get(id_)


def test_requests_and_outside_work_are_written(blocking: BlockingRegistry) -> None:
    """With the same refusals."""
    blocking.register_many([work("p"), outside("x", granted_to="desk"), outside("y")])

    assert blocking.request_cancel("p", cancel()).status is ProcessStatus.CANCELLED
    assert blocking.request_abandon("y", abandon()).abandon_request == abandon()
    with pytest.raises(AuthorityRejected):
        blocking.complete_unleased("x", Success(), ExternalOwner("office"))
    assert blocking.complete_unleased("x", Success(1), ExternalOwner("desk")).outcome == Success(1)
    with pytest.raises(UnknownProcess):
        blocking.request_cancel("nobody", cancel())


async def test_leases_are_renewed_from_a_thread(blocking: BlockingRegistry, registry: ProcessRegistry) -> None:
    """A worker embedded in somebody's program renews by one."""
    await registry.register(work())
    lease = await held(registry, "p", ADA)

    with ThreadPoolExecutor(1) as thread:
        renewed = thread.submit(
            blocking.renew_owned, registry.partition_of("p"), [owner_digest(ADA)], 2 * LONG_MS
        ).result()

    assert [(row.process_id, row.token, row.fence) for row in renewed] == [("p", lease.token, lease.fencing_token)]
    after = await lease_of(registry, "p")
    assert after.expires_at_ms > lease.expires_at_ms


def test_many_threads_may_use_it(blocking: BlockingRegistry) -> None:
    """Each call on a connection of its own while it lasts."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: blocking.register_many([work(f"p{number % 20}")]), range(60)))

    assert sum(answer == [True] for answer in answers) == 20


def test_a_lost_reply_is_asked_for_again(blocking: BlockingRegistry) -> None:
    """The second send finds the first one's effect."""
    blocking.register_many([outside()])
    run, sent = blocking.sender.transport.run, []

    async def lose_one(script: Any, header: str, args: Any, *, shebang: bool) -> list[Any]:
        sent.append(await run(script, header, args, shebang=shebang))
        if len(sent) == 1:
            raise RegistryUnavailable(script.name, "the reply was lost", maybe_applied=True)
        return sent[-1]

    blocking.sender.transport.run = lose_one  # type: ignore[method-assign]

    assert blocking.complete_unleased("p", Success(1), ExternalOwner("desk")).outcome == Success(1)
    assert len(sent) == 2


async def test_who_waits_is_noted(blocking: BlockingRegistry, registry: ProcessRegistry, client: Any) -> None:
    """By the read that finds the row unfinished, as in async code."""
    await registry.register(work())

    (row,) = blocking.watch(["p"], "desk")

    assert row is not None
    key = f"{{lash:{registry.namespace}:{registry.partition_of('p')}}}:p:p"
    assert await client.hget(key, "w") == b"desk"
