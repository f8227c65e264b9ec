"""A reply lost after the script ran is normal: the second send finds the first one's effect.

One case for each transition. The registry sends again by itself; what comes between is lost on purpose.

This module is long because each transition has its case in one table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

import msgspec
import pytest

from lash_redis.core.bounds import QueueBound
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.model import Acquired, Busy, ExternalOwner, PauseRequest, Phase, ProcessStarted, ProcessStatus
from lash_redis.core.outcomes import AbandonWriter, Failure, Resolution, ResolutionKind, Success
from lash_redis.core.policies import Policy
from lash_redis.core.retrying import Again
from lash_redis.core.schedules import DueSchedule, Schedule, ScheduleDeclaration, ScheduleRule
from lash_redis.registry import scripts
from lash_redis.registry.answers import Death, PageStart, RetriedRun, Settlement, TerminalFact
from lash_redis.registry.calls import (
    awaiting,
    batch_claims,
    bounding,
    bulk,
    ended,
    forgetting,
    glancing,
    leases,
    listing,
    opening,
    owners,
    pausing,
    policies,
    reads,
    registration,
    requests,
    retries,
    schedules,
    sequences,
    serving,
    settle,
    signatures,
    starts,
    terminal_facts,
    ticks,
    turns,
    upkeep,
)
from lash_redis.registry.calls.call import ATTEMPTS, Call, Operation
from lash_redis.registry.keys import SCHEMA_VERSION, owner_digest, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.tasks.bare_parameters import encode_parameters
from tests.conformance.actors import (
    ADA,
    BOB,
    LONG_MS,
    OWNER_BOUND,
    abandon,
    abandoned,
    batch_claim,
    begun,
    call_of,
    cancel,
    dead_owner,
    held,
    ids_of,
    local_owner,
    make_due,
    outside,
    settled,
    work,
)
from tests.look import row_of, sent
from tests.soundness import Keyspace, keyspace

P = ParamSpec("P")
Case = Callable[["World"], Awaitable[Call[Any]]]

CASES: dict[str, Case] = {}


class World:
    """A registry, and ids that all stand in partition 0."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.registry = registry
        self.one, self.two = ids_of(2, 0, registry.partitions)

    def call(self, operation: Operation[P, Any], *args: P.args, **kwargs: P.kwargs) -> Call[Any]:
        """Return the first call of an operation, which may be sent again."""
        call = call_of(self.registry, operation, *args, **kwargs)
        call.attempts = ATTEMPTS  # some are sent once, and then again by their callers
        return call

    async def row(self, process_id: str) -> Any:
        """Return a row that is there."""
        return await row_of(self.registry, process_id)


def case(prepare: Case) -> Case:
    """Take what brings the world to where a transition has something to do, and returns the call."""
    CASES[prepare.__name__.removeprefix("_")] = prepare
    return prepare


@case
async def _claim(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(leases.claim, world.one, ADA, LONG_MS)


@case
async def _claim_next(world: World) -> Call[Any]:
    await world.registry.register_many([work(world.one), work(world.two, OWNER_BOUND)])
    await world.registry.claim_next(batch_claim(world.registry, BOB, count=0))  # which names the lanes
    return world.call(batch_claims.claim_next, batch_claim(world.registry, ADA, count=1))


@case
async def _close_claims(world: World) -> Call[Any]:
    await world.registry.claim_next(batch_claim(world.registry, ADA, number=1))
    return world.call(batch_claims.close_claims, 0, ADA, 2, ["default"])


@case
async def _close_group(world: World) -> Call[Any]:
    await world.registry.register(work(world.one, opens_group=True, if_failed="run"))
    return world.call(awaiting.close_group, world.one)


@case
async def _awaited(world: World) -> Call[Any]:
    return world.call(awaiting.awaited, world.one)


@case
async def _complete_unleased(world: World) -> Call[Any]:
    await world.registry.register(outside(world.one))
    return world.call(terminal_facts.complete_unleased, world.one, Success("x" * 100), ExternalOwner("desk"))


@case
async def _counts(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(upkeep.counts, 0)


@case
async def _lanes(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(listing.list_by_phase, (Phase.QUEUED,), 10)


@case
async def _first_of_sequence(world: World) -> Call[Any]:
    await world.registry.register(work("k::1", key="k", scopes="!work,"))
    return world.call(sequences.first_of_sequence, "k::1")


@case
async def _forget_owners(world: World) -> Call[Any]:
    await world.registry.claim_next(batch_claim(world.registry, ADA, served=()))
    return world.call(owners.forget_owners, 0)


@case
async def _get(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(reads.rows, [world.one, world.two])


@case
async def _holder(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    await held(world.registry, world.one, ADA)
    return world.call(owners.holder, 0, owner_digest(ADA))


@case
async def _holders(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    await held(world.registry, world.one, ADA)
    return world.call(owners.holders, 0)


@case
async def _glance(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    await held(world.registry, world.one, ADA)
    return world.call(glancing.glance, 0)


@case
async def _name_lanes(world: World) -> Call[Any]:
    served = ServedLanes([("default", ["default|work|"])])
    return world.call(batch_claims.name_lanes, 0, served.name, served.lanes)


@case
async def _name_signatures(world: World) -> Call[Any]:
    await world.registry.open()
    return world.call(signatures.name_signatures, 0, {"00ff00ff00ff00ff": encode_parameters([])})


@case
async def _read_policies(world: World) -> Call[Any]:
    await world.registry.name_policies(0, [Policy("api", keyed=True, limit=8)])
    return world.call(policies.limits)


@case
async def _keys_of_limit(world: World) -> Call[Any]:
    await world.registry.name_policies(0, [Policy("api", keyed=True, limit=8)])
    await world.registry.register(work(world.one, key="k", scopes="api,"))
    return world.call(policies.keys_of_limit, "api")


@case
async def _waits(world: World) -> Call[Any]:
    await world.registry.register(work(world.one, key="k", scopes=","))
    return world.call(policies.waits_for_limit, world.one)


@case
async def _name_policies(world: World) -> Call[Any]:
    await world.registry.open()
    return world.call(policies.name_policies, 0, [Policy("api", keyed=True, limit=8)])


@case
async def _other_lanes(world: World) -> Call[Any]:
    served = ServedLanes([("default", ["default|work|"])])
    await world.registry.register(work(world.one))
    return world.call(signatures.filled_lanes, 0, served, ["default|work|"])


@case
async def _open(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return Call("open", 0, ["another", world.registry.partitions, SCHEMA_VERSION, "1"], lambda reply: reply)


@case
async def _header(world: World) -> Call[Any]:
    return opening.header_of(0)


@case
async def _page(world: World) -> Call[Any]:
    await world.registry.register(outside(world.one))
    return world.call(reads.page, 0, "outside", limit=1)


@case
async def _served(world: World) -> Call[Any]:
    await world.registry.claim_next(batch_claim(world.registry, ADA, count=0))
    return world.call(serving.served, 0, ["default|work|", "default|other|"])


@case
async def _near(world: World) -> Call[Any]:
    await world.registry.claim_next(batch_claim(world.registry, ADA, count=0))
    return world.call(serving.near, 0, "default|my.work|")


@case
async def _living(world: World) -> Call[Any]:
    await world.registry.claim_next(batch_claim(world.registry, ADA, count=0))
    return world.call(serving.living, 0)


@case
async def _store_bounds(world: World) -> Call[Any]:
    await world.registry.open()
    return world.call(bounding.bound_queue, QueueBound("default", 8))


@case
async def _read_bounds(world: World) -> Call[Any]:
    await world.registry.bound_queue(QueueBound("default", 8))
    await world.registry.register(work(world.one))
    return world.call(bounding.bounds)


async def _paused(world: World) -> None:
    await world.registry.register(work(world.one))
    await world.registry.pause(PauseRequest("ada", 1, "it fails"), queue="default")


@case
async def _pause(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(pausing.pause, PauseRequest("ada", 1, "it fails"), queue="default")


@case
async def _resume(world: World) -> Call[Any]:
    await _paused(world)
    return world.call(pausing.resume, queue="default")


@case
async def _pauses(world: World) -> Call[Any]:
    await _paused(world)
    return world.call(pausing.pauses)


@case
async def _waiting(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(serving.waiting, 0, ServedLanes([("default", ["default|work|"])]))


@case
async def _ended(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    await world.registry.request_cancel(world.one, cancel())
    return world.call(ended.list_ended, ProcessStatus.CANCELLED, 10)


@case
async def _prunable(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    await world.registry.request_cancel(world.one, cancel())
    return world.call(forgetting.prunable, 2**52)


@case
async def _bring_due(world: World) -> Call[Any]:
    await world.registry.register(work(world.one, delay_ms=LONG_MS))
    await make_due(world.registry, world.one)
    return world.call(upkeep.bring_due, 0)


@case
async def _prune(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    await world.registry.request_cancel(world.one, cancel())
    return world.call(forgetting.prune, 2**52)


@case
async def _accept(world: World) -> Call[Any]:
    await world.registry.register(work(world.one, OWNER_BOUND))
    await begun(world.registry, world.one, ADA)
    fact = abandoned(AbandonWriter.SWEEP, ADA)
    assert await settled(world.registry, world.one, "fact", fact, even_if_live=True)
    call: Call[Any] = forgetting.accept_page(0, 2**52, "", Resolution(ResolutionKind.ACCEPTED, "ops", 1))
    call.decode = lambda reply: (int(reply[1]), len(reply[2:]))
    return call


@case
async def _cancel_many(world: World) -> Call[Any]:
    await world.registry.register_many([work(world.one), work(world.two, OWNER_BOUND)])
    await held(world.registry, world.one, ADA)
    return bulk.cancel_call(b"request", 0, [world.one, world.two])


@case
async def _retain(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    await world.registry.request_cancel(world.one, cancel())
    return world.call(forgetting.retain, 0, forgetting.Retention(LONG_MS, 0, LONG_MS))


@case
async def _tombstones(world: World) -> Call[Any]:
    await world.registry.sender.send(await _retain(world))
    return world.call(forgetting.tombstones, [world.one])


@case
async def _forget_tombstones(world: World) -> Call[Any]:
    await world.registry.sender.send(await _retain(world))
    return world.call(forgetting.forget_tombstones, 0, 2**52, "", PageStart())


@case
async def _reclaim(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    lease = await begun(world.registry, world.one, dead_owner())
    return world.call(leases.reclaim, world.one, local_owner(), lease, LONG_MS)


@case
async def _record_death(world: World) -> Call[Any]:
    return world.call(owners.record_death, ADA, Death("exit 9", "bob"))


@case
async def _record_first_started(world: World) -> Call[Any]:
    await world.registry.register(work(world.one, OWNER_BOUND))
    return world.call(starts.record_first_started, world.one, ProcessStarted(ADA, 7))


@case
async def _register(world: World) -> Call[Any]:
    return world.call(registration.register_many, [work(world.one), outside(world.two)])


@case
async def _release(world: World) -> Call[Any]:
    await world.registry.register_many([work(world.one), work(world.two, OWNER_BOUND, task="other")])
    held_leases = [await begun(world.registry, world.one, ADA), await held(world.registry, world.two, ADA)]
    await world.registry.start(held_leases[1])
    return world.call(leases.release_many, held_leases)


@case
async def _renew(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(leases.renew, await held(world.registry, world.one, ADA), 2 * LONG_MS)


@case
async def _renew_owned(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    await held(world.registry, world.one, ADA)
    return world.call(leases.renew_owned, 0, [owner_digest(ADA)], 2 * LONG_MS)


@case
async def _resolve(world: World) -> Call[Any]:
    await world.registry.register(outside(world.one))
    await world.registry.request_abandon(world.one, abandon())
    assert await settled(world.registry, world.one, "fact", abandoned(AbandonWriter.RECONCILED_REQUEST, None))
    return world.call(requests.resolve, world.one, Resolution(ResolutionKind.HAPPENED, "ops", 1, "seen", 7))


@case
async def _request_abandon(world: World) -> Call[Any]:
    await world.registry.register(outside(world.one))
    return world.call(requests.request_abandon, world.one, abandon())


@case
async def _request_cancel(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(requests.request_cancel, world.one, cancel())


@case
async def _settle(world: World) -> Call[Any]:
    await world.registry.register(work(world.one, OWNER_BOUND))
    await begun(world.registry, world.one, ADA)
    outcome = abandoned(AbandonWriter.OWNER_DRAIN, ADA, "ended_here")
    settlement = Settlement(await world.row(world.one), "fact", outcome, even_if_live=True)
    return world.call(settle.settle_many, [settlement])


@case
async def _start(world: World) -> Call[Any]:
    await world.registry.register(work(world.one, OWNER_BOUND))
    return world.call(starts.start, await held(world.registry, world.one, ADA))


@case
async def _terminalize(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    lease = await begun(world.registry, world.one, ADA)
    fact = TerminalFact(lease, *world.registry.encoded(Success("x" * 100)))
    return world.call(terminal_facts.terminalize_many, [fact])


@case
async def _turn(world: World) -> Call[Any]:
    await world.registry.register_many([work(world.one), work(world.two, OWNER_BOUND)])
    lease = await begun(world.registry, world.one, ADA)
    await world.registry.claim_next(batch_claim(world.registry, BOB, count=0))  # which names the lanes
    fact = TerminalFact(lease, *world.registry.encoded(Success("x" * 100)))
    return world.call(turns.turn, batch_claim(world.registry, ADA, count=1), [fact])


@case
async def _retry(world: World) -> Call[Any]:
    await world.registry.register_many([work(world.one), work(world.two)])
    failed = [RetriedRun(await begun(world.registry, each, ADA), Again(LONG_MS, 3), Failure("E")) for each in
              (world.one, world.two)]  # fmt: skip
    return world.call(retries.retry_many, failed)


@case
async def _unstart(world: World) -> Call[Any]:
    await world.registry.register_many([work(world.one), work(world.two, OWNER_BOUND, task="other")])
    lease, bound = await begun(world.registry, world.one, ADA), await held(world.registry, world.two, ADA)
    await world.registry.start(bound)
    return world.call(starts.unstart_many, [lease, bound])


@case
async def _wake(world: World) -> Call[Any]:
    return world.call(upkeep.wake, 0, "default|work|")


@case
async def _watch(world: World) -> Call[Any]:
    await world.registry.register(work(world.one))
    return world.call(reads.watch, [world.one], "desk")


def hourly(name: str) -> ScheduleDeclaration:
    """Return the declaration of a schedule that ticks each hour, and late as well."""
    rule = ScheduleRule("every 3600000", late_after_ms=7 * 24 * 3_600_000)
    return ScheduleDeclaration(name, 1, rule, work(name), {}, "app.py:1")


@case
async def _declare_schedules(world: World) -> Call[Any]:
    return world.call(schedules.declare_schedules, [hourly(world.one)])


@case
async def _schedules(world: World) -> Call[Any]:
    await world.registry.declare_schedules([hourly(world.one)])
    return world.call(schedules.schedules_page, 0)


@case
async def _change_schedule(world: World) -> Call[Any]:
    await world.registry.declare_schedules([hourly(world.one)])
    told = await world.registry.claim_next(batch_claim(world.registry, BOB, count=0, partition=0))
    await world.registry.submit_ticks([each.plan() for each in told.schedules])  # else it is ticked first
    return world.call(schedules.pause_schedule, world.one)


@case
async def _tick(world: World) -> Call[Any]:
    await world.registry.declare_schedules([hourly(world.one)])
    stored = (await world.registry.all_schedules())[0]
    since_ms = stored.now_ms - 2 * 3_600_000
    key = f"{partition_prefix(world.registry.namespace, 0)}:schedule:{world.one}"
    await sent(world.registry, "HSET", key, "fr", since_ms)
    due = DueSchedule(world.one, 1, since_ms, stored.now_ms, hourly(world.one).rule)
    return world.call(ticks.submit_ticks, [due.plan()])


# The transitions whose second answer is another, as their headers say: what the second send finds to do is nothing.
ANSWERS = {
    "declare_schedules": ([("new", "")], [("same", "")]),
    "register": ([True, True], [False, False]),  # new, known
    "release": ([True, True], [False, False]),  # given back, stale
    "unstart": (["DONE", "DONE"], ["STALE", "STALE"]),  # the token has no start any more
    "prune": ((1, 0), (0, 0)),
    "accept": ((1, 1), (0, 0)),
    "retain": (forgetting.Retained(1, 0), forgetting.Retained(0, 0)),
    "forget_tombstones": ((1, None), (0, None)),
    "forget_owners": ((1, False), (0, False)),
}


class LostReply:
    """Stands in for the transport's ``run``: one reply of a script never arrives, its request or its answer lost."""

    def __init__(self, registry: ProcessRegistry, script: str, look: Callable[[], Awaitable[Keyspace]]) -> None:
        self._run, self._script, self._look = registry.sender.transport.run, script, look
        registry.sender.transport.run = self.run  # type: ignore[method-assign]
        self.loses_request = False
        self.first_reply: list[Any] | None = None
        self.after_first: Keyspace | None = None
        self.sent = 0

    async def run(self, script: Any, header: str, args: Any, *, shebang: bool) -> list[Any]:
        """Run it, but for what is to be lost."""
        if script.name == self._script:
            self.sent += 1
            if self.sent == 1:
                if not self.loses_request:
                    self.first_reply = await self._run(script, header, args, shebang=shebang)
                self.after_first = await self._look()
                raise RegistryUnavailable(script.name, "the reply was lost", maybe_applied=True)
        return await self._run(script, header, args, shebang=shebang)


def still(everything: Keyspace) -> Keyspace:
    """Return a keyspace without what may move with time: ends of leases, and when somebody last called."""
    for keys in everything.values():
        for name, key in keys.items():
            if isinstance(key.value, bytes):
                continue
            if name.startswith("p:"):
                key.value.pop("ex", None)
            if name.startswith("schedule:"):
                key.value.pop("de", None)
            if name in ("leases", "seen", "lists") or name.startswith("idle:"):
                key.value.update(dict.fromkeys(key.value, 0.0))
    return everything


def timeless(answer: Any) -> Any:
    """Return an answer without what may move with time, in a form that compares."""
    match answer:
        case Acquired(lease) | Busy(lease):
            return type(answer), msgspec.structs.replace(lease, expires_at_ms=0)
        case list() | tuple():
            return [timeless(each) for each in answer]
    if isinstance(answer, (DueSchedule, Schedule)):
        return msgspec.structs.replace(answer, now_ms=0)
    if hasattr(answer, "record"):
        return answer.record()
    if type(answer).__name__ == "ClaimedBatch":
        return answer.rows, answer.stale
    if type(answer).__name__ == "_Found":
        return answer.ended_at_ms, timeless(answer.row)
    if type(answer).__name__ == "RowPage":
        return timeless(answer.rows), answer.next
    return answer


@pytest.mark.parametrize("script", scripts.names())
async def test_a_lost_reply_changes_nothing(
    registry: ProcessRegistry, client: Any, namespace: str, script: str
) -> None:
    """The second send answers the same, and nothing in the namespace has changed but ends of leases."""
    call = await CASES[script](World(registry))
    assert call.script == script
    before = await keyspace(client, namespace)
    lost = LostReply(registry, script, lambda: keyspace(client, namespace))

    answer = await registry.sender.send(call)

    assert lost.sent == 2
    assert lost.first_reply is not None
    assert lost.after_first is not None
    first = call.decode(lost.first_reply)
    if script in ANSWERS:
        assert (first, answer) == ANSWERS[script]
    elif script != "renew":
        assert timeless(answer) == timeless(first)
    applied = lost.after_first != before
    only_reads = scripts.load(script).flags == "no-writes"
    assert applied == (not only_reads and script not in ("open", "wake", "other_lanes")), "it had nothing to do"
    assert still(await keyspace(client, namespace)) == still(lost.after_first)


@pytest.mark.parametrize("script", scripts.names())
async def test_a_lost_request_is_applied_once(
    registry: ProcessRegistry, client: Any, namespace: str, script: str
) -> None:
    """What never arrived changed nothing; the second send is the first that does."""
    call = await CASES[script](World(registry))
    before = await keyspace(client, namespace)
    lost = LostReply(registry, script, lambda: keyspace(client, namespace))
    lost.loses_request = True

    answer = await registry.sender.send(call)

    assert lost.after_first == before
    if script in ANSWERS:
        assert answer == ANSWERS[script][0]
    once = await keyspace(client, namespace)
    again = await registry.sender.send(call)
    if script not in ANSWERS and script != "renew":
        assert timeless(again) == timeless(answer)
    assert still(await keyspace(client, namespace)) == still(once)


async def test_a_call_that_never_gets_an_answer_says_that_it_may_have_happened(registry: ProcessRegistry) -> None:
    """After so many attempts, and the caller may send it again."""
    call = await _start(World(registry))
    call.attempts = 2
    run, sent = registry.sender.transport.run, []

    async def run_and_lose(script: Any, header: str, args: Any, *, shebang: bool) -> list[Any]:
        sent.append(await run(script, header, args, shebang=shebang))
        raise RegistryUnavailable(script.name, "the reply was lost", maybe_applied=True)

    registry.sender.transport.run = run_and_lose  # type: ignore[method-assign]
    with pytest.raises(RegistryUnavailable) as refusal:
        await registry.sender.send(call)
    registry.sender.transport.run = run  # type: ignore[method-assign]

    assert (refusal.value.maybe_applied, len(sent)) == (True, 2)
    assert (await registry.sender.send(call)).first_started.owner == ADA


async def test_a_release_that_was_lost_wakes_a_worker_once(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """A second send finds nothing to wake anybody for."""
    world = World(registry)
    call = await _release(world)
    await registry.claim_next(batch_claim(registry, BOB, served=(("default", ()),)))
    await registry.sender.send(call)
    await registry.claim_next(batch_claim(registry, BOB, served=(("default", ()),)))

    await registry.sender.send(call)

    assert owner_digest(BOB) in (await keyspace(client, namespace))[0]["idle:default"].value
