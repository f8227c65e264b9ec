"""The async registry: every transition and every bounded read, on connections of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from lash_redis.core.checks import MAX_PAYLOAD_BYTES, checked_bool, checked_int, checked_partitions
from lash_redis.core.outcomes import Outcome
from lash_redis.registry.calls import (
    alike_rows,
    awaiting,
    batch_claims,
    bounding,
    bulk,
    ended,
    forgetting,
    glancing,
    leases,
    listing,
    owners,
    pausing,
    policies,
    reads,
    registration,
    replaying,
    requests,
    retries,
    schedules,
    sequences,
    serving,
    settle,
    signatures,
    starts,
    terminal_facts,
    terms,
    ticks,
    turns,
    upkeep,
)
from lash_redis.registry.calls.call import Namespace
from lash_redis.registry.codec import encode_outcome
from lash_redis.registry.operations import operation
from lash_redis.registry.transport.address import DEFAULT_TIMEOUT_S, Address
from lash_redis.registry.transport.connections import AsyncConnections
from lash_redis.registry.transport.sending import Sender, Target
from lash_redis.registry.transport.server import Memory, ServerInfo


class ProcessRegistry:
    """The Redis-backed store of processes and leases.

    Constructing it does no I/O and needs no event loop. Any event loop may use it, one after another or several at a
    time: each has connections of its own, which are closed when it ends. The first call reads and judges the server and
    opens the namespace. A call whose answer did not come is sent again: every transition may be sent twice (rule 8.4).
    Times and TTLs are integer milliseconds.

    Programs call ``register``, ``register_many``, ``get``, ``lease``, ``list_non_terminal``, ``claim``, ``reclaim``,
    ``start``, ``record_first_started``, ``renew``, ``release``, ``complete``, ``complete_unleased``,
    ``request_abandon``, ``request_cancel``, ``resolve`` and ``prune``. Workers and the command line are made of the
    others, which may change with any release.

    Args:
        client: a ``redis.asyncio.Redis`` or ``RedisCluster`` (or a fakeredis one), whose connection parameters are
            used, or a URL, or what finds the server at the first call (``registry.transport.finding``).
        namespace: 1 to 64 characters of ``[a-z0-9-]``.
        partitions: how many; for ever the same for one namespace. None: as the namespace, which must exist, says.
        max_payload_bytes: the longest input or outcome, bytes.
        allow_unsafe_server: accept a server that evicts keys.
        timeout_s: how long a connection or a reply may take, s.

    Raises:
        SettingsError: an argument is outside what is allowed; from the first call also ``UnsafeServerError``,
            ``NamespaceMismatch`` and ``RegistryUnavailable``.
    """

    def __init__(
        self,
        client: Any,
        namespace: str = "lash",
        partitions: int | None = 1,
        *,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        allow_unsafe_server: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        count = 1 if partitions is None else checked_partitions(partitions)
        checked_int("max_payload_bytes", max_payload_bytes, at_least=1, at_most=512 << 20)
        names = Namespace(namespace, count, max_payload_bytes)
        is_lenient = checked_bool("allow_unsafe_server", allow_unsafe_server)
        self.target = Target(names, Address(client, timeout_s), partitions is None, is_lenient)
        self.connections = AsyncConnections(self.target.address)
        self.sender = Sender(self.target, self.connections)
        self.close_unused: Callable[[], Awaitable[None]] = self.aclose  # a ``Lash`` closes its waits and its server too

    @property
    def namespace(self) -> str:
        """The namespace's name."""
        return self.target.namespace.name

    @property
    def partitions(self) -> int:
        """How many partitions the namespace has (with ``partitions=None`` known once it is open)."""
        return self.target.namespace.partitions

    def partition_of(self, process_id: str) -> int:
        """Return the partition of a process, once the namespace is open.

        Raises:
            SettingsError: the text is no process id.
        """
        return self.target.namespace.partition_of(process_id)

    @property
    def address(self) -> Address:
        """Where the server is."""
        return self.target.address

    @property
    def server(self) -> ServerInfo | None:
        """What the server said of itself; None before the namespace is open."""
        return self.sender.server

    async def open(self, *, to_read: bool = False) -> ServerInfo:
        """Check the server and open the namespace, once; return what is known of the server.

        ``to_read``: the server's ACL need only allow what reading needs, until something is written (rule 8.14).
        """
        return await self.sender.open(to_read=to_read)

    async def check_server(self) -> ServerInfo:
        """Read and judge the server, now.

        Raises:
            UnsafeServerError: it evicts keys, or is too old.
        """
        return await self.sender.check_server()

    async def aclose(self) -> None:
        """Close our own connections in the running event loop; the client that was handed to us is left as it is.

        While somebody uses the registry there (``join``), it closes nothing. The next call opens it again.
        """
        await self.sender.aclose()

    def join(self) -> None:
        """Be a user in the running event loop: until it parts, nobody else closes anything there (rule 11.8)."""
        self.connections.join()

    async def part(self) -> None:
        """Be no user there any more. The last one closes what was opened there."""
        self.connections.part()
        if not self.connections.is_used_here:
            await self.close_unused()

    def find_anew(self) -> None:
        """Find the server and open the namespace anew at the next call: there may be another one."""
        self.target.namespace.forget()
        self.target.address.forget()

    def encoded(self, outcome: Outcome) -> tuple[str, bytes]:
        """Return an outcome's state and bytes, as a ``TerminalFact`` holds them.

        Raises:
            PayloadError: it cannot be encoded, or is too long.
        """
        return encode_outcome(outcome, self.target.namespace.max_payload_bytes)

    register = operation(registration.register)
    register_many = operation(registration.register_many)
    submit_many = operation(registration.submit_many)
    submit_alike = operation(alike_rows.submit_alike)
    submit = operation(registration.submit)
    submit_all = operation(registration.submit_all)

    get = operation(reads.get)
    lease = operation(reads.lease)
    row = operation(reads.row)
    rows = operation(reads.rows)
    watch = operation(reads.watch)
    page = operation(reads.page)
    list_non_terminal = operation(listing.list_non_terminal)
    list_by_phase = operation(listing.list_by_phase)
    list_labelled = operation(listing.list_labelled)
    list_ended = operation(ended.list_ended)
    served = operation(serving.served)
    service_of = operation(serving.service_of)
    first_of_sequence = operation(sequences.first_of_sequence)
    living = operation(serving.living)
    waiting = operation(serving.waiting)

    close_group = operation(awaiting.close_group)
    awaited = operation(awaiting.awaited)
    members = operation(awaiting.members)

    claim = operation(leases.claim)
    reclaim = operation(leases.reclaim)
    claim_next = operation(batch_claims.claim_next)
    turn = operation(turns.turn)
    close_claims = operation(batch_claims.close_claims)
    waits_for_limit = operation(policies.waits_for_limit)
    limits = operation(policies.limits)
    keys_of_limit = operation(policies.keys_of_limit)
    terms_stored = operation(terms.terms_stored)
    name_policies = operation(policies.name_policies)
    name_signatures = operation(signatures.name_signatures)
    filled_lanes = operation(signatures.filled_lanes)
    start = operation(starts.start)
    record_first_started = operation(starts.record_first_started)
    unstart_many = operation(starts.unstart_many)
    renew = operation(leases.renew)
    renew_many = operation(leases.renew_many)
    renew_owned = operation(leases.renew_owned)
    release = operation(leases.release)
    release_many = operation(leases.release_many)

    complete = operation(terminal_facts.complete)
    complete_unleased = operation(terminal_facts.complete_unleased)
    retry_many = operation(retries.retry_many)
    terminalize_many = operation(terminal_facts.terminalize_many)
    settle_many = operation(settle.settle_many)

    request_abandon = operation(requests.request_abandon)
    request_cancel = operation(requests.request_cancel)
    resolve = operation(requests.resolve)

    bound_queue = operation(bounding.bound_queue)
    bounds = operation(bounding.bounds)
    pause = operation(pausing.pause)
    resume = operation(pausing.resume)
    pauses = operation(pausing.pauses)

    cancel_many = operation(bulk.cancel_many)
    replay_many = operation(replaying.replay_many)
    replay = operation(replaying.replay)

    record_death = operation(owners.record_death)
    holders = operation(owners.holders)
    holder = operation(owners.holder)
    forget_owners = operation(owners.forget_owners)

    declare_schedules = operation(schedules.declare_schedules)
    all_schedules = operation(schedules.all_schedules)
    schedule_named = operation(schedules.schedule_named)
    pause_schedule = operation(schedules.pause_schedule)
    resume_schedule = operation(schedules.resume_schedule)
    run_schedule = operation(schedules.run_schedule)
    remove_schedule = operation(schedules.remove_schedule)
    undeclare_schedule = operation(schedules.undeclare_schedule)
    submit_ticks = operation(ticks.submit_ticks)

    counts = operation(upkeep.counts)
    glance = operation(glancing.glance)
    wake = operation(upkeep.wake)
    bring_due = operation(upkeep.bring_due)
    prune = operation(forgetting.prune)
    prunable = operation(forgetting.prunable)
    retain = operation(forgetting.retain)
    tombstones = operation(forgetting.tombstones)

    async def memory(self, partition: int | None = None) -> Memory | None:
        """Return how much memory the server uses, now; None if it has no limit or does not say."""
        return await self.sender.memory(partition)
