"""Owners, work and the short cuts by which tests bring a row into a state."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

import msgspec
import pytest

from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.core.model import (
    AbandonRequest,
    Acquired,
    CancelRequest,
    ExternalInput,
    ProcessLease,
    ProcessRegistration,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.core.outcomes import Abandoned, AbandonEvidence, AbandonWriter, Outcome
from lash_redis.registry.answers import BatchClaim, ClaimedBatch, ClaimedRow, SettleAction, Settlement
from lash_redis.registry.calls.call import Call, Operation
from lash_redis.registry.keys import partition_of, partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from tests.conftest import ServerTime
from tests.look import row_of, sent

RERUNNABLE = RecoveryDisposition.RERUNNABLE
OWNER_BOUND = RecoveryDisposition.OWNER_BOUND
EXTERNALLY_OWNED = RecoveryDisposition.EXTERNALLY_OWNED

LONG_MS = 60_000  # a lease that no test outlives
SHORT_MS = 80  # a lease whose end a test waits for

LANE = "default|work|"
SERVED = (("default", (LANE,)),)

ADA = LeaseOwner.opaque("ada", "ada-1")
BOB = LeaseOwner.opaque("bob", "bob-1")
CYD = LeaseOwner.opaque("cyd", "cyd-1")

P = ParamSpec("P")
T = TypeVar("T")

_numbers = itertools.count(1)


def work(
    process_id: str = "p", disposition: RecoveryDisposition = RERUNNABLE, *args: Any, **options: Any
) -> ProcessRegistration:
    """Return the registration of one piece of work for workers."""
    task = options.pop("task", "work")
    return ProcessRegistration(process_id, TaskInput(task, args), disposition, **options)


def outside(process_id: str = "p", **options: Any) -> ProcessRegistration:
    """Return the registration of externally owned work."""
    return ProcessRegistration(process_id, ExternalInput({"to": "sign"}), EXTERNALLY_OWNED, **options)


def claimed_row(lease: ProcessLease, *args: Any, task: str = "work", bound: bool = False) -> ClaimedRow:
    """Return what a batch claim hands out with this lease: a call of a task."""
    content = msgspec.msgpack.encode([args, {}])
    disposition = b"o" if bound else b"r"
    return ClaimedRow(lease.process_id, lease.token, lease.fencing_token, f"default|{task}|", disposition, content)


def local_owner(name: str = "here") -> LeaseOwner:
    """Return an owner that is this OS process; skip the test where the platform proves nothing."""
    owner = LeaseOwner.local_process(name, f"{name}-1")
    if not isinstance(owner.liveness, LocalProcess):
        pytest.skip(f"no proof of death on {sys.platform}")
    return owner


def dead_owner(name: str = "dead") -> LeaseOwner:
    """Return an owner that is provably dead here: another start time under a pid that lives."""
    here = local_owner().liveness
    assert isinstance(here, LocalProcess)
    return LeaseOwner(name, f"{name}-1", msgspec.structs.replace(here, pid=os.getpid(), process_start="1"))


def cancel(by: str = "ops", at_ms: int = 1, reason: str | None = "enough") -> CancelRequest:
    """Return a cancel request."""
    return CancelRequest(by, at_ms, reason)


def abandon(by: str = "ops", at_ms: int = 1, reason: str | None = "the host burnt") -> AbandonRequest:
    """Return an abandon request."""
    return AbandonRequest(by, at_ms, reason)


def abandoned(writer: AbandonWriter, owner: LeaseOwner | None, proof: str = "requested") -> Abandoned:
    """Return the outcome that a sweep or a drain would write."""
    return Abandoned(AbandonEvidence(writer, owner, 0, proof))


async def held(registry: ProcessRegistry, process_id: str, owner: LeaseOwner, ttl_ms: int = LONG_MS) -> ProcessLease:
    """Claim one process; under the lease nothing has begun."""
    claimed = await registry.claim(process_id, owner, ttl_ms)
    assert isinstance(claimed, Acquired)
    return claimed.lease


def batch_claim(
    registry: ProcessRegistry,
    owner: LeaseOwner,
    *,
    number: int | None = None,
    count: int = 1,
    ttl_ms: int = LONG_MS,
    partition: int = 0,
    served: Any = SERVED,
    alone: bool = True,
    bound: bool = True,
    remembers: bool = True,
) -> BatchClaim:
    """Return a batch claim under the next number, or a given one."""
    chosen = next(_numbers) if number is None else number
    lanes = ServedLanes(served)
    return BatchClaim(partition, owner, chosen, count, ttl_ms, lanes, alone, bound, remembers=remembers)


def call_of(registry: ProcessRegistry, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> Call[Any]:
    """Return the first call of an operation, to be sent as often and as late as a test likes."""
    return next(iter(operation(registry.target.namespace, *args, **kwargs)))


def leases_of(batch: ClaimedBatch, owner: LeaseOwner) -> list[ProcessLease]:
    """Return the leases under which a batch claim handed out its rows."""
    times = batch.claimed_at_ms, batch.expires_at_ms
    return [ProcessLease(row.process_id, owner, row.token, row.fence, *times) for row in batch.rows]


async def begun(registry: ProcessRegistry, process_id: str, owner: LeaseOwner, ttl_ms: int = LONG_MS) -> ProcessLease:
    """Claim and start in one step the process that is first in its lane."""
    partition = registry.partition_of(process_id)
    batch = await registry.claim_next(batch_claim(registry, owner, ttl_ms=ttl_ms, partition=partition))
    assert [row.process_id for row in batch.rows] == [process_id]
    return leases_of(batch, owner)[0]


async def begun_and_lapsed(
    registry: ProcessRegistry, server: ServerTime, process_id: str, owner: LeaseOwner
) -> ProcessLease:
    """Claim and start a process, and let the lease's time run out."""
    return await server.end(registry, await begun(registry, process_id, owner))


async def settled(
    registry: ProcessRegistry,
    process_id: str,
    action: SettleAction,
    outcome: Outcome | None = None,
    *,
    even_if_live: bool = False,
) -> bool:
    """Settle a process by the facts as they stand now."""
    row = await row_of(registry, process_id)
    return (await registry.settle_many([Settlement(row, action, outcome, even_if_live)]))[0]


def ids_of(count: int, partition: int, partitions: int, stem: str = "p") -> list[str]:
    """Return ids that all belong to one partition."""
    found = (f"{stem}{number}" for number in itertools.count())
    return list(itertools.islice((each for each in found if partition_of(each, partitions) == partition), count))


async def make_due(registry: ProcessRegistry, process_id: str) -> None:
    """Let the time of a delayed row have come, whatever the clock says."""
    partition = registry.partition_of(process_id)
    k = partition_prefix(registry.namespace, partition)
    await sent(registry, "HSET", f"{k}:p:{process_id}", "du", "1")
    await sent(registry, "ZADD", f"{k}:delayed", "1", process_id)
    await sent(registry, "HSET", f"{k}:hdr", "due", "1")


async def make_expired(registry: ProcessRegistry, process_id: str) -> None:
    """Let the expiry of a row have come, whatever the clock says."""
    partition = registry.partition_of(process_id)
    k = partition_prefix(registry.namespace, partition)
    await sent(registry, "HSET", f"{k}:p:{process_id}", "xp", "1")
    await sent(registry, "ZADD", f"{k}:alarms", "1", f"expire {process_id}")
    await sent(registry, "HSET", f"{k}:hdr", "due", "1")


@asynccontextmanager
async def of_another_type(client: Any, key: str) -> AsyncIterator[None]:
    """Let a key hold a text in place of what it holds while a block lasts."""
    await client.rename(key, f"{key}-away")
    await client.set(key, "?")
    yield
    assert await client.get(key) == b"?", "it was left alone"
    await client.rename(f"{key}-away", key)
