"""One pure builder a transition: arguments in, a ``Call`` out, whose ``decode`` turns the reply into a value or an error.

No I/O here, so that the async and the plain transport carry the same calls (design, section 9). A call looks at
unknown, then terminal, then authority, then lease, and raises the first that fails (design, section 10).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from lash_redis.core.errors import (
    AlreadyStarted,
    AlreadyTerminal,
    AuthorityRejected,
    LeaseHeld,
    LeaseLost,
    NamespaceMismatch,
    NothingToAbandon,
    PayloadError,
    RegistrationConflict,
    ScriptError,
    SettingsError,
    UnknownProcess,
)
from lash_redis.core.lanes import MAX_LANES, lane
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    Abandoned,
    AbandonRequest,
    Acquired,
    Busy,
    CancelRequest,
    ExternalOwner,
    Outcome,
    ProcessLease,
    ProcessRecord,
    ProcessRegistration,
    ProcessStarted,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.core.settings import (
    DEFAULT_LOSS_LIMIT,
    MAX_BATCH,
    MAX_PAYLOAD_BYTES,
    MAX_SETTLE_BATCH,
    checked_id,
    checked_int,
    checked_namespace,
    checked_ttl,
)
from lash_redis.core.timing import random_token
from lash_redis.registry.codec import (
    DISPOSITION_CODES,
    STATUSES,
    content_digest,
    decode_facts,
    decode_owner,
    encode_facts,
    encode_input,
    encode_outcome,
    encode_owner,
)
from lash_redis.registry.keys import owner_digest, partition_of, partition_prefix
from lash_redis.registry.rows import Row

T = TypeVar("T")
Argument = bytes | str | int


class Call(Generic[T]):
    """One transition to send: the script's name, its partition, its arguments, and how to read the answer."""

    __slots__ = ("args", "decode", "partition", "script")

    def __init__(self, script: str, partition: int, args: list[Argument], decode: Callable[[list[Any]], T]) -> None:
        self.script = script
        self.partition = partition
        self.args = args
        self.decode = decode


class ClaimedRow(msgspec.Struct, frozen=True):
    """One process that a batch claim handed out, leased and started."""

    process_id: str
    token: str
    fence: int
    lane: str
    disposition: bytes
    input: bytes


class ClaimedBatch(msgspec.Struct, frozen=True):
    """What a batch claim handed out; ``stale`` says that the number was overtaken, or its owner recorded dead."""

    rows: list[ClaimedRow]
    claimed_at_ms: int = 0
    expires_at_ms: int = 0
    stale: bool = False


class RenewedRow(msgspec.Struct, frozen=True):
    """One lease that was renewed, and whether a stop was requested of its work."""

    owner: str
    process_id: str
    token: str
    fence: int
    cancel_request: bytes = b""
    abandon_request: bytes = b""


class PagePlace(msgspec.Struct, frozen=True):
    """Where a page of an index begins: at a score, past so many members of that score."""

    score: str = "-inf"
    skip: int = 0


class RowPage(msgspec.Struct, frozen=True):
    """Rows found by an index, and where the next page begins (None at the end)."""

    rows: list[Row]
    next: PagePlace | None


class Holder(msgspec.Struct, frozen=True):
    """An owner with unsettled rows, and what a reaper recorded of its death."""

    digest: str
    owner: LeaseOwner
    death: Death | None


class Death(msgspec.Struct, frozen=True):
    """A death that somebody saw: the exit status in words, and who reaped it."""

    status: str
    by: str


class Counts(msgspec.Struct, frozen=True):
    """How many rows stand in each place of one partition, and how many ended, by task and state."""

    leased: int
    held: int
    uncertain: int
    outside: int
    asked: int
    terminal: dict[tuple[str, str], int]
    lanes: dict[str, int]


class Fact(msgspec.Struct, frozen=True):
    """One terminal fact to write under a lease, its outcome encoded (``Calls.encoded``)."""

    lease: ProcessLease
    state: str
    data: bytes


class Settlement(msgspec.Struct, frozen=True):
    """One verdict to carry out: ``action`` is fact, queue or uncertain; ``trusted`` if a live lease is no difference."""

    row: Row
    action: str
    outcome: Outcome | None = None
    trusted: bool = False


class Batch(msgspec.Struct):
    """Items of one partition, and where each stood in the caller's list."""

    partition: int
    items: list[Any]
    places: list[int]


def _owner_args(owner: LeaseOwner) -> tuple[str, bytes]:
    if not isinstance(owner, LeaseOwner):
        raise SettingsError(f"expected owner to be a LeaseOwner, got {owner!r}")
    return owner_digest(owner), encode_owner(owner)


def _checked_batch(what: str, named: Sequence[Hashable], at_most: int = MAX_BATCH) -> None:
    """Check a batch's length, and that it names nothing twice (design, section 10): a script plans a write once."""
    checked_int(f"{what} in a batch", len(named), at_least=1, at_most=at_most)
    if len(set(named)) != len(named):
        twice = next(each for place, each in enumerate(named) if each in named[:place])
        raise SettingsError(f"expected the {what} of a batch to be distinct, got {twice!r} twice")


def _attempt(lease: ProcessLease) -> tuple[str, str, int]:
    return lease.process_id, lease.token, lease.fencing_token


def _one_owner(leases: Sequence[ProcessLease]) -> str:
    """Return the digest of the owner of all these leases."""
    digests = {owner_digest(lease.owner) for lease in leases}
    if len(digests) != 1:
        raise SettingsError(f"expected the leases of a batch to be one owner's, got {len(digests)} owners")
    return digests.pop()


def _refusal(process_id: str, reply: list[Any], lease: ProcessLease | None = None) -> Exception:
    """Return the error that a reply's status word stands for; the one place where words become errors."""
    match reply[0]:
        case b"UNKNOWN":
            return UnknownProcess(process_id)
        case b"TERMINAL":
            return AlreadyTerminal(process_id, STATUSES[reply[1]].value)
        case b"AUTHORITY":
            return AuthorityRejected(process_id, "the caller has no authority for this (see the declared disposition)")
        case b"STARTED_BY":
            return AlreadyStarted(process_id, decode_owner(reply[1], reply[2]))
        case b"LOST":
            return LeaseLost(process_id, lease)
        case b"HELD":
            return LeaseHeld(process_id, _lease(process_id, reply))
        case b"NOTHING":
            return NothingToAbandon(process_id)
        case b"MISMATCH":
            return NamespaceMismatch("the namespace's header is gone or changed (flushed, or restored from a backup?)")
    return ScriptError(f"unexpected reply {reply[0]!r}")


def _lease(process_id: str, reply: list[Any]) -> ProcessLease:
    _, digest, owner, token, fence, claimed, expires = reply
    return ProcessLease(process_id, decode_owner(digest, owner), token.decode(), int(fence), int(claimed), int(expires))


class Calls:
    """The builders, for one namespace. ``uuid`` is known once the namespace was opened."""

    def __init__(self, namespace: str, partitions: int, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self.namespace = checked_namespace(namespace)
        self.partitions = partitions
        self.max_payload_bytes = max_payload_bytes
        self.uuid = ""

    def prefix(self, partition: int) -> str:
        """Return the key prefix of a partition."""
        return partition_prefix(self.namespace, partition)

    def _partition(self, process_id: str) -> int:
        return partition_of(checked_id("process id", process_id), self.partitions)

    def batches(self, items: Sequence[Any], id_of: Callable[[Any], str], size: int) -> list[Batch]:
        """Cut items into batches of one partition each, which remember where each item stood."""
        open_: dict[int, Batch] = {}
        done: list[Batch] = []
        for place, item in enumerate(items):
            partition = 0 if self.partitions == 1 else self._partition(id_of(item))
            batch = open_.get(partition)
            if batch is None or len(batch.items) == size:
                batch = open_[partition] = Batch(partition, [], [])
                done.append(batch)
            batch.items.append(item)
            batch.places.append(place)
        return done

    # ── registration and reads ─────────────────────────────────────────────────────────────────────────────────────

    def register(self, partition: int, registrations: Sequence[ProcessRegistration]) -> Call[list[bool]]:
        """Register a batch of one partition; the answer says which were new."""
        _checked_batch("registrations", [registration.id for registration in registrations])
        args: list[Argument] = [self.uuid]
        for registration in registrations:
            data = encode_input(registration, self.max_payload_bytes)
            task = registration.input.task if isinstance(registration.input, TaskInput) else ""
            limit = "" if registration.loss_limit == DEFAULT_LOSS_LIMIT else registration.loss_limit
            args += (
                registration.id,
                DISPOSITION_CODES[registration.disposition],
                lane(registration.queue, task, registration.signature if task else ""),
                data,
                content_digest(registration),
                limit,
                registration.granted_to or "",
            )
        def decode(reply: list[Any]) -> list[bool]:
            match reply[0]:
                case b"REGISTERED":
                    return [flag == b"1" for flag in reply[2:]]
                case b"CONFLICT":
                    raise RegistrationConflict([process_id.decode() for process_id in reply[1:]])
            raise _refusal("", reply)

        return Call("register", partition, args, decode)

    def get(self, partition: int, process_ids: Sequence[str]) -> Call[list[Row | None]]:
        """Read whole rows of one partition."""
        return Call("get", partition, [checked_id("process id", each) for each in process_ids], _rows)

    def watch(self, partition: int, channel: str, process_ids: Sequence[str]) -> Call[list[Row | None]]:
        """Read whole rows, and ask to be told on ``channel`` when one that is not terminal ends."""
        return Call("watch", partition, [channel, *process_ids], _rows)

    def page(
        self, partition: int, index: str, place: PagePlace, *, upto: str = "+inf", limit: int = MAX_BATCH
    ) -> Call[RowPage]:
        """Read the rows of one page of an index (``leases``, ``asked``, ``of:<owner digest>``, ``q:<lane>`` …)."""

        def decode(reply: list[Any]) -> RowPage:
            following = PagePlace(reply[1].decode(), int(reply[2])) if reply[1] else None
            return RowPage([Row(row) for row in reply[3:]], following)

        return Call("page", partition, [index, place.score, place.skip, upto, limit], decode)

    def holders(self, partition: int, after: str = "", limit: int = MAX_BATCH) -> Call[list[Holder]]:
        """Read one page of the owners that have unsettled rows."""

        def decode(reply: list[Any]) -> list[Holder]:
            return [
                Holder(digest.decode(), decode_owner(digest, owner), Death(*decode_facts(death)) if death else None)
                for digest, owner, death in zip(reply[1::3], reply[2::3], reply[3::3], strict=True)
            ]

        return Call("holders", partition, [after, limit], decode)

    def counts(self, partition: int, after_lane: str = "") -> Call[Counts]:
        """Count one partition; lanes come by pages of 500."""

        def decode(reply: list[Any]) -> Counts:
            leased, held, uncertain, outside, asked = (int(number) for number in reply[1:6])
            terminal = {}
            for field, number in zip(reply[6][::2], reply[6][1::2], strict=True):
                task, _, state = field.decode().rpartition("|")
                terminal[task, STATUSES[state.encode()].value] = int(number)
            lanes = {name.decode(): int(number) for name, number in zip(reply[7][::2], reply[7][1::2], strict=True)}
            return Counts(leased, held, uncertain, outside, asked, terminal, lanes)

        return Call("counts", partition, [after_lane, MAX_BATCH], decode)

    # ── leases ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def claim(self, process_id: str, owner: LeaseOwner, ttl_ms: int) -> Call[Acquired | Busy]:
        """Claim one process."""
        args: list[Argument] = [self.uuid, process_id, *_owner_args(owner), random_token(), checked_ttl(ttl_ms)]
        return Call("claim", self._partition(process_id), args, lambda reply: _granted(process_id, reply))

    def reclaim(self, process_id: str, owner: LeaseOwner, observed: ProcessLease, ttl_ms: int) -> Call[Acquired | Busy]:
        """Take a live lease from the observed holder, if that one is provably dead for ``owner``."""
        seen: list[Argument] = [*_owner_args(observed.owner), observed.token, observed.fencing_token]
        proven = "1" if observed.owner.is_definitely_dead_for(owner) else "0"
        args: list[Argument] = [
            self.uuid,
            process_id,
            *_owner_args(owner),
            random_token(),
            checked_ttl(ttl_ms),
            *seen,
            proven,
        ]
        return Call("reclaim", self._partition(process_id), args, lambda reply: _granted(process_id, reply))

    def claim_next(
        self,
        partition: int,
        owner: LeaseOwner,
        number: int,
        count: int,
        ttl_ms: int,
        queues: Sequence[tuple[str, Sequence[str]]],
    ) -> Call[ClaimedBatch]:
        """Claim and start up to ``count`` rows. Send the same call again until it is answered, then the next number."""
        checked_int("count", count, at_least=0, at_most=MAX_BATCH)
        checked_int("lanes in a claim", sum(len(lanes) for _, lanes in queues), at_least=0, at_most=MAX_LANES)
        if len({queue for queue, _ in queues}) != len(queues):
            raise SettingsError(f"expected the queues of a claim to be distinct, got {[queue for queue, _ in queues]}")
        args: list[Argument] = [
            self.uuid, *_owner_args(owner), number, count, checked_ttl(ttl_ms), f"{random_token()}."
        ]  # fmt: skip
        for queue, lanes in queues:
            args += (queue, len(lanes), *lanes)
        return Call("claim_next", partition, args, _claimed)

    def start(self, lease: ProcessLease) -> Call[ProcessRecord]:
        """Record that user code begins under this lease."""
        args: list[Argument] = [lease.process_id, owner_digest(lease.owner), lease.token, lease.fencing_token]
        return self._about(lease.process_id, "start", args, lease)

    def renew(self, partition: int, leases: Sequence[ProcessLease], ttl_ms: int) -> Call[list[int | None]]:
        """Renew leases of one owner; the answer is each one's new expiry, or None for a lost one."""
        args = self._leases(leases)
        args.insert(1, checked_ttl(ttl_ms))

        def decode(reply: list[Any]) -> list[int | None]:
            return [int(expires) if expires else None for expires in reply[1:]]

        return Call("renew", partition, args, decode)

    def renew_owned(
        self, partition: int, owners: Sequence[str], ttl_ms: int, page: tuple[str, str, str] = ("1", "-inf", "0")
    ) -> Call[tuple[list[RenewedRow], tuple[str, str, str] | None]]:
        """Renew one page of all live leases that these owners (digests) hold."""

        def decode(reply: list[Any]) -> tuple[list[RenewedRow], tuple[str, str, str] | None]:
            rows = [
                RenewedRow(reply[i].decode(), reply[i + 1].decode(), reply[i + 2].decode(), int(reply[i + 3]),
                           reply[i + 4], reply[i + 5])
                for i in range(4, len(reply), 6)
            ]  # fmt: skip
            following = (reply[1].decode(), reply[2].decode(), reply[3].decode()) if reply[1] else None
            return rows, following

        return Call("renew_owned", partition, [checked_ttl(ttl_ms), *page, *owners], decode)

    def release(self, partition: int, leases: Sequence[ProcessLease]) -> Call[list[bool]]:
        """Give leases of one owner back; the answer says which were still that owner's."""
        return Call("release", partition, self._leases(leases), lambda reply: [flag == b"1" for flag in reply[1:]])

    def _leases(self, leases: Sequence[ProcessLease]) -> list[Argument]:
        _checked_batch("leases", [_attempt(lease) for lease in leases])
        args: list[Argument] = [_one_owner(leases)]
        for lease in leases:
            args += (lease.process_id, lease.token, lease.fencing_token)
        return args

    # ── terminal facts ─────────────────────────────────────────────────────────────────────────────────────────────

    def complete(self, lease: ProcessLease, outcome: Outcome) -> Call[ProcessRecord]:
        """Write one terminal fact under its lease."""
        args = self._terminal_args([Fact(lease, *self.encoded(outcome))], answer_row=True)

        def decode(reply: list[Any]) -> ProcessRecord:
            if reply[1] == b"DONE":
                return Row(reply[2]).record()
            row = Row(reply[2]) if reply[2] and reply[2][1] else None
            if reply[1] == b"TERMINAL" and row is not None:
                raise AlreadyTerminal(lease.process_id, row.status.value, row.record())
            raise _refusal(lease.process_id, reply[1:], lease)

        return Call("terminalize", self._partition(lease.process_id), args, decode)

    def terminalize(self, partition: int, facts: Sequence[Fact]) -> Call[list[str]]:
        """Write terminal facts of one owner; the answer is one status word each (DONE, UNKNOWN, TERMINAL …)."""
        _checked_batch("facts", [_attempt(fact.lease) for fact in facts])
        args = self._terminal_args(facts, answer_row=False)
        return Call("terminalize", partition, args, lambda reply: [status.decode() for status in reply[1:]])

    def _terminal_args(self, facts: Sequence[Fact], *, answer_row: bool) -> list[Argument]:
        args: list[Argument] = [_one_owner([fact.lease for fact in facts]), "1" if answer_row else "0"]
        for fact in facts:
            lease = fact.lease
            args += (lease.process_id, lease.token, lease.fencing_token, fact.state, fact.data)
        return args

    def encoded(self, outcome: Outcome) -> tuple[str, bytes]:
        """Return an outcome's state and bytes.

        Raises:
            PayloadError: it cannot be encoded, or is too long.
        """
        return encode_outcome(outcome, self.max_payload_bytes)

    def complete_unleased(self, process_id: str, outcome: Outcome, authority: ExternalOwner) -> Call[ProcessRecord]:
        """Write the terminal fact of externally owned work under its authority."""
        if not isinstance(authority, ExternalOwner):
            raise SettingsError(f"expected authority to be an ExternalOwner, got {authority!r}")
        state, data = encode_outcome(outcome, self.max_payload_bytes)
        return self._about(process_id, "complete_unleased", [process_id, state, data, authority.granted_to])

    def settle(self, partition: int, settlements: Sequence[Settlement]) -> Call[list[bool]]:
        """Carry out verdicts of one partition; the answer says which stand (False: the facts had changed)."""
        _checked_batch("settlements", [each.row.process_id for each in settlements], MAX_SETTLE_BATCH)
        args: list[Argument] = []
        for settlement in settlements:
            # A cancel carries no words of its own: the request on the row says why.
            state, data = "k", b""
            if isinstance(settlement.outcome, Abandoned):
                state, data = encode_outcome(settlement.outcome, self.max_payload_bytes)
            row = settlement.row
            args += (row.process_id, settlement.action, state, data, "1" if settlement.trusted else "0")
            args += row.observed()
        return Call("settle", partition, args, lambda reply: [status == b"DONE" for status in reply[1:]])

    # ── requests and evidence ──────────────────────────────────────────────────────────────────────────────────────

    def request_abandon(self, process_id: str, request: AbandonRequest) -> Call[ProcessRecord]:
        """Record an abandon request."""
        data = encode_facts(request.requested_by, request.requested_at_ms, request.reason)
        return self._about(process_id, "request_abandon", [process_id, data])

    def request_cancel(self, process_id: str, request: CancelRequest) -> Call[ProcessRecord]:
        """Record a cancel request."""
        data = encode_facts(request.requested_by, request.requested_at_ms, request.reason)
        return self._about(process_id, "request_cancel", [process_id, data])

    def record_first_started(self, process_id: str, started: ProcessStarted) -> Call[ProcessRecord]:
        """Record an unleased first start."""
        checked_int("started_at_ms", started.started_at_ms, at_least=0, at_most=2**53)
        args: list[Argument] = [process_id, *_owner_args(started.owner), started.started_at_ms]
        return self._about(process_id, "record_first_started", args)

    def record_death(self, partition: int, owner: LeaseOwner, death: Death) -> Call[Death]:
        """Record in one partition that this incarnation was seen to end."""
        args: list[Argument] = [*_owner_args(owner), encode_facts(death.status, death.by)]
        return Call("record_death", partition, args, lambda reply: Death(*decode_facts(reply[1])))

    def _about(
        self, process_id: str, script: str, args: Sequence[Argument], lease: ProcessLease | None = None
    ) -> Call[ProcessRecord]:
        def decode(reply: list[Any]) -> ProcessRecord:
            if reply[0] == b"DONE":
                return Row(reply[1]).record()
            raise _refusal(process_id, reply, lease)

        return Call(script, self._partition(process_id), list(args), decode)

    # ── upkeep ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def wake(self, partition: int, lane_name: str) -> Call[None]:
        """Pass a wake-up on."""
        return Call("wake", partition, [lane_name], lambda _reply: None)

    def prune(self, partition: int, before_ms: int, limit: int = MAX_BATCH) -> Call[int]:
        """Forget one page of terminal rows that ended before a time (server's clock)."""
        checked_int("before_ms", before_ms, at_least=0, at_most=2**53)
        return Call("prune", partition, [before_ms, limit], lambda reply: int(reply[1]))

    def forget_owners(self, partition: int, age_ms: int, limit: int = MAX_BATCH) -> Call[int]:
        """Forget one page of owners without unsettled rows that have not called for ``age_ms``."""
        return Call("forget_owners", partition, [age_ms, limit], lambda reply: int(reply[1]))

    def open(self, partition: int, uuid: str, schema: int, *, create: bool) -> Call[tuple[str, int, int] | None]:
        """Write or read one partition's header: uuid, partitions, schema; None if there is none."""

        def decode(reply: list[Any]) -> tuple[str, int, int] | None:
            return (reply[1].decode(), int(reply[2]), int(reply[3])) if reply[0] == b"OPEN" else None

        return Call("open", partition, [uuid, self.partitions, schema, "1" if create else "0"], decode)


def _rows(reply: list[Any]) -> list[Row | None]:
    return [Row(row) if row else None for row in reply[1:]]


def _granted(process_id: str, reply: list[Any]) -> Acquired | Busy:
    match reply[0]:
        case b"ACQUIRED":
            return Acquired(_lease(process_id, reply))
        case b"BUSY":
            return Busy(_lease(process_id, reply))
    raise _refusal(process_id, reply)


def _claimed(reply: list[Any]) -> ClaimedBatch:
    if reply[0] == b"STALE":
        return ClaimedBatch([], stale=True)
    if reply[0] != b"CLAIMED":
        raise _refusal("", reply)
    rows = [
        ClaimedRow(reply[i].decode(), reply[i + 1].decode(), int(reply[i + 2]), reply[i + 3].decode(),
                   reply[i + 4], reply[i + 5])
        for i in range(3, len(reply), 6)
    ]  # fmt: skip
    return ClaimedBatch(rows, int(reply[1]), int(reply[2]))
