"""Registrations as their scripts are told of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import Final

import msgspec

from lash_redis.core.lanes import lane, with_key
from lash_redis.core.model import ProcessRegistration, TaskInput
from lash_redis.core.options import are_told, asks, row_fields
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.calls.awaiting import AWAITED_BYTES
from lash_redis.registry.calls.call import Argument
from lash_redis.registry.calls.uniqueness import asks_once_more, unique_asks
from lash_redis.registry.codec import DISPOSITION_CODES, encode_input
from lash_redis.registry.content import content_digest, plain_input

_HEAD: Final = attrgetter("head")
_CONTENT: Final = attrgetter("content")
_WITHOUT_CONTENT: Final = attrgetter("process_id", "input")
_WITH_CONTENT: Final = attrgetter("process_id", "input", "content")


class Encoded(msgspec.Struct, frozen=True):
    """A registration as its script is told of it, and what batches are made by.

    Attributes:
        process_id: its id.
        input: its input.
        content: a digest of its content, or empty.
        head: what it may have in common with others: disposition, lane, and fields and their values by turns.
        size: how many bytes of a batch it takes.
        queue: its queue.
        unique: its unique key, if it has one.
    """

    process_id: str
    input: bytes
    content: bytes
    head: tuple[Argument, ...]
    size: int
    queue: str
    unique: str = ""


def encode_registration(
    registration: ProcessRegistration,
    max_payload_bytes: int,
    partitions: int = 1,
    *,
    once_more: str = "",
    waiter: str = "",
) -> Encoded:
    """Return a registration as its script is told of it.

    Args:
        registration: what is registered.
        max_payload_bytes: the longest input.
        partitions: of the namespace.
        once_more: the unique key of the row that it replays.
        waiter: the channel of a client that waits for its end.

    Raises:
        PayloadError: the input cannot be encoded, or is too long.
    """
    checked_kind("registration", registration, ProcessRegistration)
    data, content = _input_and_digest(registration, max_payload_bytes)
    task = registration.input.task if isinstance(registration.input, TaskInput) else ""
    head = head_of(registration, waiter=waiter)
    unique = ""
    if registration.unique is not None:
        unique, asked = unique_asks(registration, task, registration.unique, partitions)
        head += tuple(asked)
    elif once_more:
        unique, asked = asks_once_more(once_more)
        head += tuple(asked)
    return Encoded(
        registration.id,
        data,
        content,
        head,
        len(data) + AWAITED_BYTES * len(registration.after),
        registration.queue,
        unique,
    )


def _input_and_digest(registration: ProcessRegistration, at_most: int) -> tuple[bytes, bytes]:
    call = registration.input
    if isinstance(call, TaskInput) and (data := plain_input(call.args, call.kwargs, at_most)) is not None:
        return data, b""
    data = encode_input(registration, at_most)
    return data, content_digest(registration, data)


def head_of(registration: ProcessRegistration, *, waiter: str = "") -> tuple[Argument, ...]:
    """Return what a registration may have in common with others, but for its unique key (see ``Encoded``)."""
    task = registration.input.task if isinstance(registration.input, TaskInput) else ""
    further = row_fields(registration) + asks(registration) if are_told(registration) else []
    if registration.granted_to is not None:
        further += (b"gr", registration.granted_to)
    if registration.replay_of is not None:
        further += (b"rp", registration.replay_of)
    if registration.chosen_id:
        further += (b"ch", b"1")
    if registration.opens_group:
        further += (b"+group", 1)
    if registration.member_of is not None:
        further += (b"gp", registration.member_of)
    if waiter:
        further += (b"w", waiter)
    return (DISPOSITION_CODES[registration.disposition], _lane_field(registration, task), *further)


def _lane_field(registration: ProcessRegistration, task: str) -> str:
    name = lane(registration.queue, task, registration.signature if task else "", registration.scopes)
    return name if registration.key is None else with_key(name, registration.key)


def registration_args(registration: ProcessRegistration, max_payload_bytes: int) -> tuple[Argument, ...]:
    """Return what stands in a schedule of the process that each tick registers (see declare_schedules.lua).

    Raises:
        PayloadError: the input cannot be encoded, or is too long.
    """
    encoded = encode_registration(registration, max_payload_bytes)
    disposition, lane, *further = encoded.head
    return (encoded.process_id, disposition, lane, encoded.input, encoded.content, len(further) // 2, *further)


def runs_of(registrations: Sequence[Encoded]) -> list[Argument]:
    """Return what a script is told of a batch: what neighbours have in common is said once (see register.lua)."""
    if len(registrations) == 1:
        one = registrations[0]
        (disposition, name, *further), content = one.head, one.content
        shape = len(further) + (content != b"")
        return [1, disposition, name, shape, *further, one.process_id, one.input, *((content,) if content else ())]
    args: list[Argument] = []
    for (disposition, name, *further), alike in groupby(registrations, _HEAD):
        run = list(alike)
        has_content = any(map(_CONTENT, run))
        args += (len(run), disposition, name, len(further) + has_content, *further)
        args += chain.from_iterable(map(_WITH_CONTENT if has_content else _WITHOUT_CONTENT, run))
    return args
