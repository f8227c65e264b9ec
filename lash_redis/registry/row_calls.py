"""Calls about rows as such: register and read them, wake for them, forget them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.core.checks import MAX_BATCH, checked_id, checked_int
from lash_redis.core.errors import RegistrationConflict
from lash_redis.core.lanes import lane
from lash_redis.core.model import ProcessRegistration, TaskInput
from lash_redis.core.options import row_fields
from lash_redis.core.places import PARTITION_INDEXES
from lash_redis.registry.answers import Counts, Death, Holder, PageStart, RowPage
from lash_redis.registry.call import Argument, Call, Routing, checked_batch
from lash_redis.registry.codec import (
    DISPOSITION_CODES,
    STATUSES,
    content_digest,
    decode_facts,
    decode_owner,
    encode_input,
)
from lash_redis.registry.refusals import refusal
from lash_redis.registry.rows import Row


class RowCalls(Routing):
    """Registration, bounded reads and upkeep."""

    def register(self, partition: int, registrations: Sequence[ProcessRegistration]) -> Call[list[bool]]:
        """Register a batch of one partition; the answer says which were new."""
        checked_batch("registrations", [registration.id for registration in registrations])
        args: list[Argument] = [self.uuid]
        for registration in registrations:
            data = encode_input(registration, self.max_payload_bytes)
            task = registration.input.task if isinstance(registration.input, TaskInput) else ""
            further = row_fields(registration)
            if registration.granted_to is not None:
                further += (b"gr", registration.granted_to)
            args += (
                registration.id,
                DISPOSITION_CODES[registration.disposition],
                lane(registration.queue, task, registration.signature if task else ""),
                data,
                content_digest(registration),
                len(further) // 2,
                *further,
            )

        def decode(reply: list[Any]) -> list[bool]:
            match reply[0]:
                case b"REGISTERED":
                    return [flag == b"1" for flag in reply[2:]]
                case b"CONFLICT":
                    raise RegistrationConflict([process_id.decode() for process_id in reply[1:]])
            raise refusal("", reply)

        return Call("register", partition, args, decode)

    def get(self, partition: int, process_ids: Sequence[str]) -> Call[list[Row | None]]:
        """Read whole rows of one partition."""
        return Call("get", partition, [checked_id("process id", each) for each in process_ids], _rows)

    def watch(self, partition: int, channel: str, process_ids: Sequence[str]) -> Call[list[Row | None]]:
        """Read whole rows, and ask to be told on ``channel`` when one that is not terminal ends."""
        ids = [checked_id("process id", each) for each in process_ids]
        return Call("watch", partition, [checked_id("name", channel), *ids], _rows)

    def page(
        self, partition: int, index: str, place: PageStart, *, upto: str = "+inf", limit: int = MAX_BATCH
    ) -> Call[RowPage]:
        """Read the rows of one page of an index (``leases``, ``asked``, ``of:<owner digest>``, ``q:<lane>`` …)."""

        def decode(reply: list[Any]) -> RowPage:
            following = PageStart(reply[1].decode(), int(reply[2])) if reply[1] else None
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

    def counts(self, partition: int, after_lane: str = "", lanes: int = MAX_BATCH) -> Call[Counts]:
        """Count one partition, and the lanes of one page."""

        def decode(reply: list[Any]) -> Counts:
            *sizes, asked, ended, lanes_found = reply[1:]
            terminal = {}
            for field, number in zip(ended[::2], ended[1::2], strict=True):
                task, _, state = field.decode().rpartition("|")
                terminal[task, STATUSES[state.encode()].value] = int(number)
            queued = {name.decode(): int(size) for name, size in zip(lanes_found[::2], lanes_found[1::2], strict=True)}
            by_index = dict(zip(PARTITION_INDEXES, map(int, sizes), strict=True))
            return Counts(by_index, int(asked), terminal, queued)

        return Call("counts", partition, [after_lane, lanes], decode)

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
