"""One row as a script answers it, and what follows from its fields. Pure."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec

from lash_redis.core.errors import UnreadableRow
from lash_redis.core.labels import decode_labels
from lash_redis.core.lanes import ALONE_LOSSES, lane_parts, scopes_of, split_key
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    AbandonRequest,
    CancelRequest,
    Phase,
    ProcessLease,
    ProcessRecord,
    ProcessStarted,
    ProcessStatus,
    RecoveryDisposition,
)
from lash_redis.core.options import ProcessOptions, options_in_row
from lash_redis.core.outcomes import Failure
from lash_redis.core.places import LEASED, PLACE_OF_CODE
from lash_redis.core.sequences import sequence_in
from lash_redis.registry.codec import (
    DISPOSITIONS,
    STATUSES,
    decode_abandon_request,
    decode_cancel_request,
    decode_failure,
    decode_input,
    decode_outcome,
    decode_owner,
    decode_resolution,
)

# What a settle compares, in the order of its header.
_OBSERVED = (b"ho", b"tk", b"fe", b"fs", b"fa", b"ft", b"st", b"lo", b"lt", b"ar", b"cr", b"ph")


class Row:
    """One process as Redis holds it: fields, the owners that it names, whether its lease is live."""

    def __init__(self, reply: list[Any]) -> None:
        process_id, fields, self._input, self._outcome, self._starter, self._holder, live, now = reply
        self.process_id: str = process_id.decode()
        self.fields: dict[bytes, bytes] = dict(zip(fields[::2], fields[1::2], strict=True))
        self.is_live: bool = live == b"1"
        self.now_ms = int(now)

    def _number(self, field: bytes, default: int = 0) -> int:
        return int(self.fields.get(field, default))

    @property
    def status(self) -> ProcessStatus:
        """What became of the process."""
        state = self.fields.get(b"ts")
        return STATUSES[state] if state else ProcessStatus.RUNNING

    @property
    def is_terminal(self) -> bool:
        """True once the terminal fact is written."""
        return b"ts" in self.fields

    @property
    def disposition(self) -> RecoveryDisposition:
        """What was declared at registration."""
        return DISPOSITIONS[self.fields[b"d"]]

    @property
    def lane(self) -> str:
        """The lane, without the key of a keyed row and the mark of rows that run alone."""
        return split_key(self.fields[b"ln"].decode())[0]

    @property
    def key(self) -> str | None:
        """The key; None for a plain row."""
        return split_key(self.fields[b"ln"].decode())[1]

    @property
    def token(self) -> str:
        """The token of the last lease, empty if it was given back."""
        return self.fields.get(b"tk", b"").decode()

    @property
    def start_token(self) -> str:
        """The token of the first start, empty if there is none or it was recorded without a lease."""
        return self.fields.get(b"ft", b"").decode()

    @property
    def fence(self) -> int:
        """The highest fencing token granted on this row."""
        return self._number(b"fe")

    @property
    def has_begun(self) -> bool:
        """User code has begun under the lease that the row names."""
        token = self.fields.get(b"tk")
        return bool(token) and token in (self.fields.get(b"ft"), self.fields.get(b"st"))

    @property
    def is_in_sequence(self) -> bool:
        """The work of its key runs one at a time, in order (rule 9.13)."""
        return bool(sequence_in(scopes_of(self.lane)))

    @property
    def is_resolved(self) -> bool:
        """Somebody has said what became of it, after it was abandoned."""
        return b"rs" in self.fields

    @property
    def losses(self) -> int:
        """Leases under which code had begun and that ended without their holder."""
        return self._number(b"lo")

    @property
    def attempts(self) -> int:
        """Runs that ended by themselves, and the one that runs now: those that were tried again, and a last one."""
        has_last = self.status in (ProcessStatus.COMPLETED, ProcessStatus.FAILED) or self.phase is Phase.STARTED
        return self._number(b"tr") + has_last

    @property
    def expires_at_ms(self) -> int | None:
        """When it is cancelled if nobody has started it, by the server's clock; None: never."""
        return self._number(b"xp") if b"xp" in self.fields else None

    @property
    def due_at_ms(self) -> int | None:
        """When a delayed row enters its lane, by the server's clock; None for any other."""
        return self._number(b"du") if self.phase is Phase.DELAYED else None

    @property
    def last_failure(self) -> Failure | None:
        """The failure after which it was tried again last; None if there is none, or in a page if it is long."""
        data = self.fields.get(b"lf")
        return decode_failure(data) if data else None

    @property
    def runs_alone(self) -> bool:
        """It has not ended, and a worker runs one such row at a time (rule 4.6)."""
        return not self.is_terminal and self.losses >= ALONE_LOSSES

    @cached_property
    def options(self) -> ProcessOptions:
        """The options of the registration."""
        options = options_in_row(lane_parts(self.lane)[0], self.fields)
        if self.expires_at_ms is None:
            return options
        return msgspec.structs.replace(options, expires_in_ms=self.expires_at_ms - self._number(b"at"))

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the submit."""
        return decode_labels(self.fields.get(b"lb", b"").decode())

    @property
    def counts_a_loss(self) -> bool:
        """Ending the lease that the row names, without its holder, would be a loss not counted yet."""
        return self.has_begun and self.fields.get(b"lt") != self.fields.get(b"tk")

    @property
    def phase(self) -> Phase | None:
        """The place in one word; None once terminal."""
        if self.is_terminal:
            return None
        return PLACE_OF_CODE[self.fields[b"ph"]].phase(begun=self.has_begun)

    @cached_property
    def holder(self) -> LeaseOwner | None:
        """Who holds the lease, or held it last; None if it was given back."""
        digest = self.fields.get(b"ho")
        return decode_owner(digest, self._holder) if digest else None

    @cached_property
    def starter(self) -> LeaseOwner | None:
        """Who began the work first."""
        digest = self.fields.get(b"fs")
        return decode_owner(digest, self._starter) if digest else None

    @property
    def holder_digest(self) -> str:
        """The holder's short name, empty if there is none."""
        return self.fields.get(b"ho", b"").decode()

    @property
    def starter_digest(self) -> str:
        """The starter's short name, empty if there is none."""
        return self.fields.get(b"fs", b"").decode()

    @property
    def abandon_request(self) -> AbandonRequest | None:
        """The operator's permission, if there is one."""
        return decode_abandon_request(self.fields.get(b"ar"))

    @property
    def cancel_request(self) -> CancelRequest | None:
        """The wish that the work stop, if there is one."""
        return decode_cancel_request(self.fields.get(b"cr"))

    @property
    def request(self) -> CancelRequest | AbandonRequest | None:
        """The request that the work stop, if there is one: of both the cancel."""
        return self.cancel_request or self.abandon_request

    @property
    def group(self) -> str | None:
        """The id of the process that continues the group of which it is a member."""
        return self.fields[b"gp"].decode() if b"gp" in self.fields else None

    @property
    def continues_group(self) -> bool:
        """It continues a group: the members of a group come before it."""
        return self.fields.get(b"aw", b"")[1:2] == b"g"

    @property
    def _other_end(self) -> str | None:
        """How the first ended that did not complete and for whose completion it waited, in words; None: none has."""
        _, *other = self.fields.get(b"aw", b"").split(b" ")
        return f"after {other[0].decode()}: {STATUSES[other[1]].value}" if other else None

    def lease(self) -> ProcessLease | None:
        """Return the last lease, live or lapsed; None if there is none to speak of."""
        if self.holder is None or self.is_terminal:
            return None
        return ProcessLease(
            self.process_id, self.holder, self.token, self.fence, self._number(b"ca"), self._number(b"ex")
        )

    def observed(self) -> list[bytes]:
        """Return the facts that a settle compares, as they were read."""
        return [self.fields.get(field, b"") for field in _OBSERVED]

    def check(self) -> None:
        """Look at all that a verdict needs.

        Raises:
            UnreadableRow: a newer release wrote it, or it is damaged.
        """
        try:
            _ = self.disposition, self.status, self.phase, self.holder, self.starter, self.lease(), self.losses
            _ = self.options, self.abandon_request, self.cancel_request, self._number(b"fa"), self._number(b"at")
            _ = self._number(b"du"), self.labels
            _ = self.attempts, self.expires_at_ms, self.last_failure, self._number(b"re")
            if b"sq" in self.fields or self.phase not in (None, Phase.DELAYED, Phase.BLOCKED):
                _ = int(self.fields[b"sq"])
        except Exception as error:
            raise UnreadableRow(self.process_id, f"{type(error).__name__}: {error}") from error

    def record(self) -> ProcessRecord:
        """Return the row as the public record; of a page, without an input or outcome of more than 64 bytes.

        Raises:
            UnreadableRow: a newer release wrote it, or it is damaged.
        """
        self.check()
        try:
            return self._record()
        except Exception as error:
            raise UnreadableRow(self.process_id, f"{type(error).__name__}: {error}") from error

    def _record(self) -> ProcessRecord:
        phase, cancel_request = self.phase, self.cancel_request
        ended_at = self.fields.get(b"ta")
        content, result, outcome = self.fields[b"in"] or self._input, self.fields.get(b"oc") or self._outcome, None
        if ended_at is not None and (result or self.status is ProcessStatus.CANCELLED):
            reason = cancel_request.reason if cancel_request else self._other_end
            outcome = decode_outcome(self.fields[b"ts"], result, int(ended_at), reason)
        started = ProcessStarted(self.starter, self._number(b"fa")) if self.starter else None
        grantee = self.fields.get(b"gr")
        return ProcessRecord(
            id=self.process_id,
            input=decode_input(content, lane_parts(self.lane)[1]) if content else None,
            disposition=self.disposition,
            status=self.status,
            phase=phase,
            lease_lapsed=phase in LEASED.phases and not self.is_live,
            first_started=started,
            abandon_request=self.abandon_request,
            cancel_request=cancel_request,
            outcome=outcome,
            granted_to=grantee.decode() if grantee else None,
            losses=self.losses,
            labels=self.labels,
            key=self.key,
            replay_of=replay_of.decode() if (replay_of := self.fields.get(b"rp")) else None,
            attempts=self.attempts,
            releases=self._number(b"re"),
            last_failure=self.last_failure,
            registered_at_ms=self._number(b"at"),
            expires_at_ms=self.expires_at_ms,
            due_at_ms=self.due_at_ms,
            ended_at_ms=int(ended_at) if ended_at else None,
            resolution=decode_resolution(self.fields.get(b"rs")),
            **msgspec.structs.asdict(self.options),
        )
