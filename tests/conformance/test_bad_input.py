"""Bad input gets an error that names the value and what is allowed, before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio

from lash_redis.core.errors import PayloadError, SettingsError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    AbandonRequest,
    CancelRequest,
    ExternalOwner,
    ProcessLease,
    ProcessRegistration,
    ProcessStarted,
    TaskInput,
)
from lash_redis.core.outcomes import Success
from lash_redis.registry.answers import BatchClaim
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from tests.conformance.actors import ADA, LONG_MS, RERUNNABLE, begun, held, outside, work

BAD_IDS = ["", "a b", "a\n", "é", "{a}", "a\0", "a|b", "x" * 257, None, 7, b"a"]
BAD_TTLS = [0, -1, 1.5, True, "1000", None, 7 * 24 * 3600 * 1000 + 1]
LEASE = ProcessLease("p", ADA, "token", 1, 0, 0)


@pytest.fixture
async def fake() -> AsyncIterator[Any]:
    """Return a fakeredis client: what is refused here reaches no server."""
    client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    yield client
    assert all(b":p:" not in key for key in await client.keys())
    await client.aclose()


@pytest.fixture
async def one(fake: Any) -> AsyncIterator[ProcessRegistry]:
    """Return a registry on it."""
    registry = ProcessRegistry(fake, "bad")
    yield registry
    await registry.aclose()


@pytest.mark.parametrize("id_", BAD_IDS, ids=repr)
async def test_a_bad_process_id_is_refused_by_every_operation(one: ProcessRegistry, id_: Any) -> None:
    """Registering, reading, claiming, asking and completing alike."""
    with pytest.raises(SettingsError, match="expected process id to be 1 to 256 characters"):
        work(id_)
    lease = ProcessLease(id_, ADA, "token", 1, 0, 0)
    for call in (
        lambda: one.get(id_),
        lambda: one.lease(id_),
        lambda: one.claim(id_, ADA, LONG_MS),
        lambda: one.reclaim(id_, ADA, LEASE, LONG_MS),
        lambda: one.start(lease),
        lambda: one.complete(lease, Success()),
        lambda: one.complete_unleased(id_, Success(), ExternalOwner("desk")),
        lambda: one.request_cancel(id_, CancelRequest("ops", 1)),
        lambda: one.request_abandon(id_, AbandonRequest("ops", 1)),
        lambda: one.record_first_started(id_, ProcessStarted(ADA, 1)),
        lambda: one.watch([id_], "desk"),
    ):
        with pytest.raises(SettingsError, match="expected process id to be 1 to 256 characters"):
            await call()


def test_text_beyond_ascii_is_refused_with_a_way_out() -> None:
    """An id of a user's own language is a likely first try."""
    for make in (lambda: work("größe"), lambda: work(queue="größe"), lambda: TaskInput("größe")):
        with pytest.raises(SettingsError, match=r"got 'größe' \(only ASCII stands .* text.encode\(\).hex\(\)\)"):
            make()
    assert work("größe".encode().hex()).id == "6772c3b6c39f65"


@pytest.mark.parametrize("id_", ["a", "x" * 256, "AZaz09._:/@+-", "a::b"])
async def test_every_allowed_character_makes_an_id(id_: str) -> None:
    """Of at most 256."""
    assert work(id_).id == id_


@pytest.mark.parametrize("id_", BAD_IDS, ids=repr)
def test_a_bad_owner_is_refused(id_: Any) -> None:
    """Owner ids and incarnations are ids too."""
    with pytest.raises(SettingsError, match="expected owner_id to be"):
        LeaseOwner.opaque(id_, "1")
    with pytest.raises(SettingsError, match="expected incarnation_id to be"):
        LeaseOwner.opaque("a", id_)


@pytest.mark.parametrize("owner", [None, "ada", ("ada", "1")])
async def test_what_is_no_owner_claims_nothing(one: ProcessRegistry, owner: Any) -> None:
    """A name alone is not one."""
    with pytest.raises(SettingsError, match="expected owner to be a LeaseOwner"):
        await one.claim("p", owner, LONG_MS)


@pytest.mark.parametrize("queue", ["", "a b", "a|b", "x" * 65, None])
def test_a_bad_queue_is_refused(queue: Any) -> None:
    """With what is allowed."""
    with pytest.raises(SettingsError, match="expected queue to be 1 to 64 characters"):
        work(queue=queue)


@pytest.mark.parametrize("task", ["", "a b", "a|b", "x" * 201, None])
def test_a_bad_task_name_is_refused(task: Any) -> None:
    """A bar separates the parts of a lane's text."""
    with pytest.raises(SettingsError, match="expected task name to be"):
        TaskInput(task)


@pytest.mark.parametrize("namespace", ["", "Lash", "a b", "a:b", "{a}", "x" * 65, None])
def test_a_bad_namespace_is_refused(fake: Any, namespace: Any) -> None:
    """So that an ACL pattern for one opens no other."""
    with pytest.raises(SettingsError, match=r"expected namespace to be 1 to 64 characters of \[a-z0-9-\]"):
        ProcessRegistry(fake, namespace)


@pytest.mark.parametrize("partitions", [0, -1, 1.0, True, "8", 1025])
def test_a_bad_partition_count_is_refused(fake: Any, partitions: Any) -> None:
    """1 to 1024."""
    with pytest.raises(SettingsError, match="expected partitions to be an integer from 1 to 1024"):
        ProcessRegistry(fake, "bad", partitions)


@pytest.mark.parametrize("ttl_ms", BAD_TTLS, ids=repr)
async def test_a_bad_ttl_is_refused_by_every_operation(one: ProcessRegistry, ttl_ms: Any) -> None:
    """Milliseconds, at least one, at most seven days."""
    for call in (
        lambda: one.claim("p", ADA, ttl_ms),
        lambda: one.reclaim("p", ADA, LEASE, ttl_ms),
        lambda: one.renew(LEASE, ttl_ms),
        lambda: one.renew_owned(0, ["x"], ttl_ms),
    ):
        with pytest.raises(SettingsError, match="expected ttl_ms to be an integer from 1 to"):
            await call()
    with pytest.raises(SettingsError, match="ttl_ms"):
        BatchClaim(0, ADA, 1, 1, ttl_ms, ServedLanes([]))


async def test_a_ttl_of_one_millisecond_is_a_ttl(fake: Any) -> None:
    """The registry takes any; what is sensible is the worker's to say."""
    registry = ProcessRegistry(fake, "good")
    await registry.register(work())
    lease = await held(registry, "p", ADA, 1)
    assert lease.expires_at_ms == lease.claimed_at_ms + 1
    await registry.aclose()
    await fake.flushall()


@pytest.mark.parametrize("count", [-1, 501, 1.0, "5"])
def test_a_bad_count_is_refused(one: ProcessRegistry, count: Any) -> None:
    """A batch has at most 500 rows."""
    with pytest.raises(SettingsError, match="expected count to be an integer from 0 to 500"):
        BatchClaim(0, ADA, 1, count, LONG_MS, ServedLanes([]))


def test_a_queue_twice_is_refused(one: ProcessRegistry) -> None:
    """A claim serves each queue once, in its turn."""
    with pytest.raises(SettingsError, match="queues of a claim to be distinct"):
        ServedLanes([("a", []), ("a", [])])


@pytest.mark.parametrize("disposition", [None, "", "rerun", "RERUNNABLE", 1])
def test_an_unknown_disposition_is_refused(disposition: Any) -> None:
    """With those that there are."""
    with pytest.raises(SettingsError, match="'rerunnable', 'owner_bound', 'externally_owned'"):
        work("p", disposition)


def test_there_is_no_default_disposition() -> None:
    """It must be said."""
    with pytest.raises(TypeError, match="disposition"):
        ProcessRegistration("p", TaskInput("work"))  # type: ignore[call-arg]


def test_a_disposition_may_be_named_by_its_text() -> None:
    """As a configuration file would."""
    assert ProcessRegistration("p", TaskInput("work"), "rerunnable").disposition is RERUNNABLE  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, -1, 1.5, None])
def test_a_bad_loss_limit_is_refused(limit: Any) -> None:
    """At least one loss."""
    with pytest.raises(SettingsError, match="expected loss_limit to be"):
        work("p", RERUNNABLE, loss_limit=limit)


@pytest.mark.parametrize("text", ["", "x" * 257, 7])
def test_a_bad_grantee_or_requester_is_refused(text: Any) -> None:
    """Text of 1 to 256 bytes."""
    for make in (
        lambda: outside(granted_to=text),
        lambda: ExternalOwner(text),
        lambda: CancelRequest(text, 1),
        lambda: AbandonRequest(text, 1),
    ):
        with pytest.raises(SettingsError, match="to be text of 1 to 256 bytes"):
            make()


@pytest.mark.parametrize("at_ms", [-1, 1.5, "now", 2**53 + 1])
async def test_a_bad_moment_is_refused(one: ProcessRegistry, at_ms: Any) -> None:
    """Milliseconds, an integer that survives every number format on its way."""
    with pytest.raises(SettingsError, match="requested_at_ms"):
        CancelRequest("ops", at_ms)
    with pytest.raises(SettingsError, match="started_at_ms"):
        await one.record_first_started("p", ProcessStarted(ADA, at_ms))
    with pytest.raises(SettingsError, match="before_ms"):
        await one.prune(at_ms)


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, 2**64, {1, "a", object()}], ids=["object", "function", "big", "set"]
)
async def test_an_argument_that_cannot_be_carried_is_refused(one: ProcessRegistry, value: Any) -> None:
    """It names the process, and nothing is registered."""
    with pytest.raises(PayloadError, match="the input of process 'p'"):
        await one.register(work("p", RERUNNABLE, value))


async def test_a_result_that_cannot_be_carried_is_refused(fake: Any) -> None:
    """The lease stays, so that something else can be said of the work."""
    registry = ProcessRegistry(fake, "good", max_payload_bytes=100)
    await registry.register(work())
    lease = await begun(registry, "p", ADA)

    for value in (object(), "x" * 100):
        with pytest.raises(PayloadError, match="the result"):
            await registry.complete(lease, Success(value))
    assert await registry.lease("p") == lease
    await registry.aclose()
    await fake.flushall()


async def test_a_payload_over_the_limit_is_refused_with_both_numbers(fake: Any) -> None:
    """1 MiB unless set; at the limit it is carried."""
    registry = ProcessRegistry(fake, "good")
    most = (1 << 20) - len(b"\x92\x91\xdb____\x80")
    with pytest.raises(
        PayloadError, match=r"at most 1048576 bytes once encoded, got 1048577 \(max_payload_bytes.* argument number 1"
    ):
        await registry.register(work("p", RERUNNABLE, "x" * (most + 1)))
    assert await registry.register(work("p", RERUNNABLE, "x" * most)) is not None
    await registry.aclose()
    await fake.flushall()


async def test_one_bad_registration_keeps_its_batch_back(one: ProcessRegistry) -> None:
    """All of a batch or none."""
    with pytest.raises(PayloadError):
        await one.register_many([work("a"), work("b", RERUNNABLE, object())])


def test_a_client_that_decodes_responses_is_refused() -> None:
    """Payloads are bytes."""
    for client in (
        redis.asyncio.Redis(decode_responses=True),
        fakeredis.FakeAsyncRedis(decode_responses=True),
    ):
        with pytest.raises(SettingsError, match="decode_responses"):
            ProcessRegistry(client)


@pytest.mark.parametrize("source", [None, 7, object()])
def test_what_is_no_client_is_refused(source: Any) -> None:
    """A client of a server or of a cluster, or a URL."""
    with pytest.raises(SettingsError, match=r"expected client to be a redis.asyncio.Redis or RedisCluster, or a URL"):
        ProcessRegistry(source)


def test_a_url_of_another_kind_is_refused_without_its_password() -> None:
    """What is shown to people holds no secret."""
    with pytest.raises(SettingsError, match="expected a URL that begins with") as refusal:
        ProcessRegistry("http://me:secret@host")
    assert "secret" not in str(refusal.value)


async def test_an_authority_must_be_one(one: ProcessRegistry) -> None:
    """A name alone is not."""
    authority: Any = "desk"
    with pytest.raises(SettingsError, match="expected authority to be an ExternalOwner"):
        await one.complete_unleased("p", Success(), authority)


@pytest.mark.parametrize("outcome", [Success, {"ok": 1}, None], ids=["class", "dict", "none"])
async def test_an_outcome_must_be_one(one: ProcessRegistry, outcome: Any) -> None:
    """One of the four."""
    with pytest.raises(PayloadError, match="expected an outcome"):
        await one.complete(LEASE, outcome)
