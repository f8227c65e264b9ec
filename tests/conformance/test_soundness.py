"""The soundness check sees whatever is taken out of the sets of a namespace, or stands there without a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.lanes import lane
from lash_redis.core.model import PauseRequest
from lash_redis.core.outcomes import AbandonWriter, Failure, Outcome, Resolution, ResolutionKind, Success
from lash_redis.core.policies import Policy
from lash_redis.core.retrying import Again
from lash_redis.core.unique import Unique
from lash_redis.registry.answers import Death, RetriedRun
from lash_redis.registry.calls.forgetting import Retention
from lash_redis.registry.keys import DATA_DICTIONARY
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    BOB,
    CYD,
    LONG_MS,
    OWNER_BOUND,
    RERUNNABLE,
    abandon,
    abandoned,
    begun,
    cancel,
    held,
    outside,
    settled,
    work,
)
from tests.conformance.test_groups import group, member
from tests.conformance.test_keyed_lanes import LIMITED, SHARED, TURNS, claimed, row
from tests.conformance.test_schedules import HOUR_MS, declare, declared, let_pass, tick
from tests.conftest import ServerTime
from tests.soundness import Key, Keyspace, assert_sound, keyspace, problems_of

RATED: Final = lane("default", "work", "", "rate,")
HALTS: Final = lane("default", "work", "", "!halts,")
GOES_ON: Final = lane("default", "work", "", "~goes-on,")

# What the rows do not tell, by the first part of the key. A key with a TTL may go at any time.
MAY_GO: Final = {
    **{name: "it expires by itself" for name, (_, expires) in DATA_DICTIONARY.items() if expires},
    "claims": "it is forgotten with its owner, or when it is closed",
    "dead": "it is forgotten with its owner",
    "policies": "a lane may have a scope without a policy, which limits nothing",
    "signatures": "rows may be registered without one",
    "ticks:": "after a schedule was removed and declared again they begin anew: the oldest may be any",
    "awaits:": "a group without a * is closed",
}
MAY_STAND: Final = {
    **{name: "it expires by itself" for name, (_, expires) in DATA_DICTIONARY.items() if expires},
    "members:": "it lists rows that were pruned",
    "seen": "whoever calls stands there before it is known as an owner",
    "tombstones": "they outlive what they list, which has a TTL",
    "policies": "a policy may have no lane yet",
}


@pytest.fixture
def partitions() -> int:
    """Return one: each partition is checked by itself."""
    return 1


@pytest.fixture
async def everything(registry: ProcessRegistry, client: Any, namespace: str, server: ServerTime) -> Keyspace:
    """Return a namespace with every kind of key in it."""
    await _tombstone(registry)
    await _waiting(registry)
    await _begun(registry)
    await _ended(registry)
    await _awaiting(registry)
    await _keyed(registry)
    await _away(registry, server)
    await _scheduled(registry, client)
    await claimed(registry, 1, lane("default", "nothing"))
    await registry.record_death(BOB, Death("exit 9", "ada"))
    await assert_sound(client, namespace)
    return await keyspace(client, namespace)


async def _ends(registry: ProcessRegistry, process_id: str, outcome: Outcome, **options: Any) -> None:
    await registry.register(work(process_id, **options))
    await registry.complete(await held(registry, process_id, ADA), outcome)


async def _tombstone(registry: ProcessRegistry) -> None:
    await _ends(registry, "chosen", Success(1), chosen_id=True)
    await registry.retain(0, Retention(LONG_MS, 0, LONG_MS))


async def _waiting(registry: ProcessRegistry) -> None:
    await registry.name_signatures(0, {"00ff00ff00ff00ff": msgspec.msgpack.encode([])})
    await registry.pause(PauseRequest("ada", 1), queue="slow")
    await registry.bound_queue(QueueBound("bounded", 5))
    await registry.submit_many([work("k::unique", unique=Unique(key="k"))])
    await registry.register_many(
        [
            *(work(f"queued{n}", priority=n) for n in range(2)),
            *(work(f"delayed{n}", delay_ms=LONG_MS + n) for n in range(2)),
            *(work(f"new{n}", queue="bounded") for n in range(2)),
            *(work(f"labelled{n}", labels={"tenant": "42"}) for n in range(2)),
            *(outside(f"outside{n}") for n in range(2)),
            work("expires", expires_in_ms=LONG_MS),
            work("long", RERUNNABLE, "x" * 99),
        ]
    )
    await registry.request_abandon("outside0", abandon())


async def _begun(registry: ProcessRegistry) -> None:
    await registry.register_many([work("held"), work("begun", priority=9)])
    await begun(registry, "begun", BOB)
    await held(registry, "held", ADA)
    for number in range(2):
        await registry.register(work(f"uncertain{number}", OWNER_BOUND, priority=9))
        await registry.release(await begun(registry, f"uncertain{number}", CYD))
    await registry.register(work("again", priority=9))
    run = RetriedRun(await begun(registry, "again", ADA), Again(LONG_MS, attempts=3), Failure("E", "m" * 99))
    await registry.retry_many([run])


async def _ended(registry: ProcessRegistry) -> None:
    ends: list[Outcome] = [Success(1), Success("y" * 99), Failure("E", "m" * 99)]
    for number, outcome in enumerate(ends):
        await _ends(registry, f"ended{number}", outcome)
    await _ends(registry, "kept", Success(1), keep_results_ms=LONG_MS)
    await registry.register(work("cancelled"))
    await registry.request_cancel("cancelled", cancel())
    for process_id in ("unresolved", "resolved"):
        await registry.register(work(process_id, OWNER_BOUND, priority=9))
        await registry.release(await begun(registry, process_id, CYD))
        await registry.request_abandon(process_id, abandon())
        await settled(registry, process_id, "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, CYD))
    await registry.resolve("resolved", Resolution(ResolutionKind.HAPPENED, "ada", 1))


async def _awaiting(registry: ProcessRegistry) -> None:
    first, second = work("r::1"), work("r::2", after=("r::1",), if_failed="cancel")
    await registry.register_many([first, second, work("r::3", after=("r::1", "r::2"), if_failed="run")])
    for of in ("open", "closed"):
        await registry.register(group(of))
        await registry.register_many([member(number, of) for number in range(2)])
        await registry.complete(await held(registry, f"{of}::0", ADA), Success(1))
    await registry.close_group("closed")


async def _keyed(registry: ProcessRegistry) -> None:
    await registry.name_policies(
        0,
        [
            Policy("a", keyed=True, limit=2),
            Policy("all", keyed=False, limit=2),
            Policy("rate", keyed=True, starts=2, window_ms=LONG_MS),
        ],
    )
    await registry.register_many(
        [
            *(row(f"turn{number}", f"k{number % 2}") for number in range(4)),
            *(row(f"limit{number}", "x", "a,", disposition=OWNER_BOUND) for number in range(4)),
            row("limit-y", "y", "a,"),
            *(row(f"rate{number}", "x", "rate,") for number in range(4)),
            *(row(f"all{number}", "x", ",all") for number in range(2)),
            *(row(f"wide{number}", "x", ",all", task="other", cost=2) for number in range(2)),
            *(row(f"halts{number}", "x", "!halts,", disposition=OWNER_BOUND) for number in range(3)),
            *(row(f"goes-on{number}", "x", "~goes-on,", disposition=OWNER_BOUND) for number in range(3)),
        ]
    )
    await claimed(registry, 1, TURNS)
    uncertain, *_ = await claimed(registry, 9, LIMITED)
    await registry.release(uncertain)
    await claimed(registry, 9, RATED)
    await claimed(registry, 1, SHARED)
    await claimed(registry, 1, lane("default", "other", "", ",all"))
    await claimed(registry, 1, HALTS)
    await claimed(registry, 1, GOES_ON)


async def _away(registry: ProcessRegistry, server: ServerTime) -> None:
    """Let a lane not come for the slots that it shares: it was waited for a second, and is not any more."""
    mine, others = (lane("default", task, "", "turns,") for task in ("work", "other"))
    await registry.name_policies(0, [Policy("turns", keyed=True, limit=1)])
    rows = [row(f"{task}-{number}", "x", "turns,", task=task) for task in ("work", "other") for number in range(3)]
    await registry.register_many(rows)
    (lease,) = await claimed(registry, 1, mine)
    assert await claimed(registry, 1, mine, others) == []
    await registry.complete(lease, Success(1))
    await server.pass_until(await server.now_ms() + 1_100)
    assert len(await claimed(registry, 1, others)) == 1
    await server.pass_until(await server.now_ms() + 1_100)  # the time of the looks that were set meanwhile
    await registry.bring_due(0)


async def _scheduled(registry: ProcessRegistry, client: Any) -> None:
    await declare(registry, declared("ticks"), declared("waits"))
    await let_pass(client, registry, "ticks", ms=3 * HOUR_MS)
    await tick(registry, "ticks")


def _class_of(name: str) -> str:
    return next(each for each in DATA_DICTIONARY if name == each or (each[-1] == ":" and name.startswith(each)))


def _lessened(keys: dict[str, Key]) -> Iterator[tuple[str, str, dict[str, Key]]]:
    """Yield what was taken away, from a key of which class, and what is left."""
    for name, key in keys.items():
        others = {each: value for each, value in keys.items() if each != name}
        of = _class_of(name)
        yield name, of, others
        if of in ("p:", "hdr") or isinstance(key.value, bytes):
            continue
        for each in key.value:
            left = {member: value for member, value in key.value.items() if member != each}
            if left and not (of == "schedule:" and each not in ("du", "ln", "rv")):
                yield f"{name}: {each}", of, others | {name: msgspec.structs.replace(key, value=left)}


def _added_to(keys: dict[str, Key]) -> Iterator[tuple[str, str, dict[str, Key]]]:
    """Yield what was added, to a key of which class, and what there is then."""
    for name, key in keys.items():
        if key.kind != "string":
            assert not isinstance(key.value, bytes)
            for stray in ("stray", "queued0"):
                value = key.value | {stray: 5.0 if key.kind == "zset" else b"5"}
                yield f"{name}: {stray}", _class_of(name), keys | {name: msgspec.structs.replace(key, value=value)}
    for of, (kind, expires) in DATA_DICTIONARY.items():
        if of.endswith(":"):
            content: Any = {"zset": {"stray": 5.0}, "hash": {"stray": b"5"}, "string": b"stray"}[kind]
            yield f"{of}stray", of, keys | {f"{of}stray": Key(kind, expires, content)}


def _are_seen(keys: dict[str, Key]) -> bool:
    try:
        return bool(problems_of({0: keys}))
    except (AttributeError, LookupError, TypeError, ValueError):
        return True  # it stumbles over it, and a test fails by that too


@pytest.mark.parametrize("backend", ["fakeredis"], indirect=True)
def test_every_class_of_keys_is_there_to_be_broken(everything: Keyspace) -> None:
    """A new one is to be added above, or it is not known whether the check sees what becomes of it."""
    assert {_class_of(name) for name in everything[0]} == DATA_DICTIONARY.keys()


@pytest.mark.parametrize("backend", ["fakeredis"], indirect=True)
def test_what_is_taken_away_is_seen(everything: Keyspace) -> None:
    """A row that its index does not list, a slot, a park, a dependent, a tick that was submitted."""
    unseen: dict[str, list[str]] = defaultdict(list)
    for what, of, left in _lessened(everything[0]):
        if not _are_seen(left):
            unseen[of].append(what)
    assert {of: each for of, each in unseen.items() if of not in MAY_GO} == {}
    assert unseen["awaits:"] == ["awaits:open: *"]
    (oldest, *newer) = sorted(everything[0]["ticks:ticks"].value)
    assert unseen["ticks:"] == ["ticks:ticks", f"ticks:ticks: {oldest}"]
    assert newer


@pytest.mark.parametrize("backend", ["fakeredis"], indirect=True)
def test_what_stands_without_a_reason_is_seen(everything: Keyspace) -> None:
    """An id that has no row, a row in an index that is not its own, a key of nothing."""
    unseen: dict[str, list[str]] = defaultdict(list)
    for what, of, more in _added_to(everything[0]):
        if not _are_seen(more):
            unseen[of].append(what)
    assert {of: each for of, each in unseen.items() if of not in MAY_STAND} == {}
