"""The server is checked before leases are trusted to it, and what it refuses later is no half transition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from lash_redis.core.errors import LashError, RegistryUnavailable, UnsafeServerError
from lash_redis.core.model import Acquired, ExternalOwner, ProcessStarted, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Resolution, ResolutionKind, Success
from lash_redis.core.timing import boottime_ms
from lash_redis.operate.connect import open_registry
from lash_redis.registry.answers import Death
from lash_redis.registry.keys import partition_of
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.server import judged
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    batch_claim,
    begun,
    cancel,
    held,
    outside,
    settled,
    work,
)
from tests.conftest import Backend, ServerTime
from tests.look import lease_of as lease_in
from tests.servers import Server
from tests.soundness import assert_sound, keyspace

INFO = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction"}
NAME = "checked"


@pytest.fixture
async def raw(own_server: Server) -> AsyncIterator[Any]:
    """Return a client of it."""
    client = redis.asyncio.Redis.from_url(own_server.url)
    yield client
    await client.aclose()


@pytest.fixture
async def mine(own_server: Server) -> AsyncIterator[ProcessRegistry]:
    """Return a registry on it, found by its URL."""
    registry = ProcessRegistry(own_server.url, NAME)
    yield registry
    await registry.aclose()


async def test_a_server_that_evicts_is_refused(mine: ProcessRegistry, raw: Any) -> None:
    """It deletes leases and rows in silence; the message says what to do."""
    await raw.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(
        UnsafeServerError, match=r"noeviction, got allkeys-lru.*CONFIG SET maxmemory-policy.*in the Lash"
    ):
        await mine.register(work())
    assert await raw.dbsize() == 0


async def test_a_server_that_evicts_may_be_let_pass(own_server: Server, raw: Any) -> None:
    """By one who says so."""
    await raw.config_set("maxmemory-policy", "volatile-ttl")
    registry = ProcessRegistry(own_server.url, NAME, allow_unsafe_server=True)

    assert (await registry.register(work())).id == "p"
    await registry.aclose()


async def test_an_operator_looks_at_a_server_that_evicts(own_server: Server, mine: ProcessRegistry, raw: Any) -> None:
    """Its settings were changed under the pool: that is when somebody must look, and ask."""
    await mine.register(work())
    await raw.config_set("maxmemory-policy", "allkeys-lru")

    async with open_registry(own_server.url, NAME) as looking:
        assert looking.server is not None
        assert looking.server.maxmemory_policy == "allkeys-lru"
        assert await looking.get("p") is not None
        assert (await looking.request_cancel("p", cancel())).status is ProcessStatus.CANCELLED


async def test_a_server_that_begins_to_evict_is_noticed_when_it_is_checked_again(
    mine: ProcessRegistry, raw: Any
) -> None:
    """Settings change while a worker runs."""
    await mine.register(work())
    await raw.config_set("maxmemory-policy", "allkeys-random")

    with pytest.raises(UnsafeServerError):
        await mine.check_server()


async def test_the_durability_of_the_server_is_reported(mine: ProcessRegistry, raw: Any) -> None:
    """Nothing is kept here; append-only once switched on."""
    assert (await mine.open()).durability == "none"
    await raw.config_set("appendonly", "yes")
    assert (await mine.check_server()).durability == "append-only (each second)"
    await raw.config_set("appendfsync", "always")
    assert (await mine.check_server()).durability == "append-only (always)"


@pytest.mark.parametrize("version", ["6.2.14", "6.0.16", "5.0.14", "2.8", "", "unknown"])
def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    """Before 7.0 an error in a script loses its first word; what does not say its version is not trusted."""
    with pytest.raises(UnsafeServerError, match=rf"Redis 7\.0 or later.*Valkey 7\.2 or later, got redis {version}"):
        judged(INFO | {"redis_version": version}, None, allow_unsafe=True)


def test_a_valkey_server_that_is_too_old_is_refused() -> None:
    """By its own version, whatever it says to be compatible with."""
    with pytest.raises(UnsafeServerError, match=r"got valkey 7\.1"):
        judged(INFO | {"redis_version": "7.2.4", "valkey_version": "7.1.0"}, None, allow_unsafe=True)


@pytest.mark.parametrize("version", ["7.0.0", "7.0.15", "10.0.0"])
def test_a_server_that_is_new_enough_is_taken(version: str) -> None:
    """Scripts carry a first line that lets it refuse them whole."""
    server = judged(INFO | {"redis_version": version}, None, allow_unsafe=False)

    assert (server.takes_shebang, server.version) == (True, f"redis {version}")


@pytest.mark.parametrize("field", ["redis_mode", "server_mode"])
def test_a_sentinel_is_refused(field: str) -> None:
    """It holds no data, and the message says how it is named."""
    with pytest.raises(UnsafeServerError, match=r"a Sentinel: redis\+sentinel://HOST:PORT"):
        judged(INFO | {field: "sentinel"}, None, allow_unsafe=True)


def test_a_valkey_server_is_known_by_its_own_version() -> None:
    """The other one is what it is compatible with."""
    info = INFO | {"server_name": "valkey", "valkey_version": "9.1.2"}

    assert judged(info, None, allow_unsafe=False).version == "valkey 9.1.2"


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "unix:///nonexistent/socket"])
async def test_an_unreachable_server_is_said_to_be(url: str) -> None:
    """Within the time of a few tries, and without a traceback of somebody else's."""
    registry = ProcessRegistry(url, NAME)
    before_ms = boottime_ms()

    with pytest.raises(RegistryUnavailable, match=r"no answer from|cannot reach|it says"):
        await registry.get("p")
    assert boottime_ms() - before_ms < 30_000
    await registry.aclose()


async def test_a_client_handed_to_us_is_left_as_it_is(own_server: Server, raw: Any) -> None:
    """It gives its connection parameters; our connections are our own."""
    registry = ProcessRegistry(raw, NAME)
    await registry.register(work())
    await registry.aclose()

    assert await raw.ping()


async def test_a_flushed_script_cache_is_survived(mine: ProcessRegistry, raw: Any) -> None:
    """After a restart or a failover the server knows no script: each is sent again, once."""
    for number in range(3):
        await mine.register(work(f"p{number}", task=f"t{number}"))
        lease = await held(mine, f"p{number}", ADA)
        await raw.script_flush()
        await mine.renew(lease, LONG_MS)
        await raw.script_flush()
        assert (await mine.complete(lease, Success())).status is ProcessStatus.COMPLETED


async def test_a_server_that_comes_back_is_used_again(own_server: Server, mine: ProcessRegistry, raw: Any) -> None:
    """A connection that was cut is opened anew by the next call."""
    await mine.register(work())
    await raw.client_kill_filter(_type="normal", skipme=True)

    assert await mine.get("p") is not None


async def filled(raw: Any) -> None:
    """Fill the server to its ``maxmemory``."""
    used = (await raw.info("memory"))["used_memory"]
    await raw.config_set("maxmemory", used + (1 << 20))
    for number in range(100_000):
        try:
            await raw.set(f"ballast:{number}", b"x" * 4_000)
        except redis.ResponseError:
            break
    await raw.config_set("maxmemory", used)


async def test_at_maxmemory_new_work_fails_cleanly(mine: ProcessRegistry, raw: Any) -> None:
    """What brings in or begins new work changes nothing, and is said not to have been applied."""
    await mine.register(work())
    lease = await held(mine, (await mine.register(work("held", task="held"))).id, ADA)
    await filled(raw)
    before = await keyspace(raw, NAME)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: mine.register(work("q")),
        lambda: mine.start(lease),
        lambda: mine.claim_next(batch_claim(mine, ADA)),
        lambda: mine.record_first_started("p", ProcessStarted(ADA, 1)),
    ]

    for attempt in attempts:
        with pytest.raises(RegistryUnavailable) as refusal:
            await attempt()
        assert not refusal.value.maybe_applied
    assert await keyspace(raw, NAME) == before
    await assert_sound(raw, NAME)


async def test_at_maxmemory_terminal_facts_are_still_written(mine: ProcessRegistry, raw: Any) -> None:
    """And leases renewed and given back, requests and deaths recorded, the old forgotten."""
    names = ("done", "held", "kept", "gone", "asked", "queued")
    for name in names:
        await mine.register(work(name, OWNER_BOUND if name in ("gone", "asked") else RERUNNABLE, task=name))
    await mine.register(outside("outside"))
    done, given, kept = [await held(mine, name, ADA) for name in ("done", "held", "kept")]
    for name in ("gone", "asked"):
        await mine.start(await held(mine, name, BOB))
    await filled(raw)

    assert (await mine.complete(done, Success("x" * 1_000))).status is ProcessStatus.COMPLETED
    assert (await mine.renew(kept, 2 * LONG_MS)).token == kept.token
    await mine.release(given)
    assert await mine.renew_owned(partition_of("kept", 1), [], LONG_MS) == []
    await mine.record_death(BOB, Death("exit 9", "ada"))
    assert await settled(mine, "gone", "fact", abandoned(AbandonWriter.SWEEP, BOB, "reaped"), even_if_live=True)
    assert (await mine.request_abandon("asked", abandon())).abandon_request == abandon()
    assert (await mine.request_cancel("queued", cancel())).status is ProcessStatus.CANCELLED
    assert (await mine.complete_unleased("outside", Success(), ExternalOwner("desk"))).is_terminal
    await mine.resolve("gone", Resolution(ResolutionKind.ACCEPTED, "ops", 1))
    await mine.forget_owners(0)
    await assert_sound(raw, NAME)
    assert (await mine.prune(2**52)).processes == 4
    await assert_sound(raw, NAME)


async def test_at_maxmemory_a_starter_claims_its_own_again_and_writes_its_result(
    mine: ProcessRegistry, raw: Any
) -> None:
    """Its lease lapsed, or a peer's sweep moved the row: the result frees more than the claim takes."""
    for name in ("lapsed", "uncertain"):
        await mine.register(work(name, OWNER_BOUND, task=name))
        await mine.start(await held(mine, name, ADA))
        await ServerTime(Backend("mine"), raw).end(mine, await lease_in(mine, name))
    assert await settled(mine, "uncertain", "uncertain")
    await filled(raw)

    for name in ("lapsed", "uncertain"):
        assert (await mine.complete(await held(mine, name, ADA), Success("x" * 1_000))).is_terminal
    await assert_sound(raw, NAME)


async def test_at_maxmemory_a_dead_holders_lease_is_taken(mine: ProcessRegistry, raw: Any) -> None:
    """Reclaiming is how a program of one's own frees what a dead owner held."""
    await mine.register(work())
    lease = await begun(mine, "p", BOB)
    await mine.record_death(BOB, Death("exit 9", "ada"))
    await filled(raw)

    assert isinstance(await mine.reclaim("p", ADA, lease, LONG_MS), Acquired)
    await assert_sound(raw, NAME)


async def test_at_maxmemory_a_worker_leaves_as_ever(mine: ProcessRegistry, raw: Any) -> None:
    """It closes its claims, gives back what never began, gives up what may run elsewhere, and settles the rest."""
    for name in ("never began", "given up", "settled"):
        disposition = RERUNNABLE if name == "given up" else OWNER_BOUND
        await mine.register(work(name.replace(" ", "-"), disposition, task=name.replace(" ", "-")))
    leases = [await held(mine, name, ADA) for name in ("never-began", "given-up", "settled")]
    for lease in leases:
        await mine.start(lease)
    late = batch_claim(mine, ADA, number=1)
    await filled(raw)

    await mine.close_claims(0, ADA, 2, ["default"], list_name=late.served.name, lives_on_ms=0)
    assert await mine.unstart_many([leases[0]]) == ["DONE"]
    assert await mine.release_many([leases[1]]) == [True]
    evidence = abandoned(AbandonWriter.OWNER_DRAIN, ADA, "ended_here")
    assert await settled(mine, "settled", "fact", evidence, even_if_live=True)
    await assert_sound(raw, NAME)
    await raw.config_set("maxmemory", 0)
    assert (await mine.claim_next(late)).stale


async def test_a_script_that_the_user_may_not_run_changes_nothing(own_server: Server, raw: Any) -> None:
    """Commands are checked inside scripts too."""
    registry = ProcessRegistry(own_server.url, NAME)
    await registry.register(work())
    await begun(registry, "p", ADA)
    before = await keyspace(raw, NAME)
    await raw.execute_command("ACL", "SETUSER", "poor", "on", "nopass", "~*", "&*", "+@all", "-time")
    poor = ProcessRegistry(f"{own_server.url.replace('unix://', 'unix://poor:x@')}", NAME)

    with pytest.raises(LashError):
        await poor.claim("p", ADA, LONG_MS)
    assert await keyspace(raw, NAME) == before
    await registry.aclose()
    await poor.aclose()
