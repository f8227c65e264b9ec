"""Schedules: declared by code, read, and changed. Pure (rule 12.1)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, Literal

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.error_text import text_of
from lash_redis.core.errors import PayloadError, RegistryUnavailable, SettingsError, UnknownSchedule
from lash_redis.core.events import ScheduleDeclared, ScheduleDiffers, ScheduleNotStored
from lash_redis.core.lanes import lane_parts, scopes_of, split_key
from lash_redis.core.model import PauseRequest
from lash_redis.core.schedules import (
    MOST_INPUT_BYTES,
    NAME,
    DueSchedule,
    Schedule,
    ScheduleDeclaration,
    ScheduleRule,
    check_rule,
)
from lash_redis.core.struct_checks import checked_kind
from lash_redis.core.subscribers import emit
from lash_redis.core.terms import Terms
from lash_redis.core.tick_ids import run_id
from lash_redis.core.timing import random_token
from lash_redis.registry.calls.batches import batched
from lash_redis.registry.calls.call import Argument, Call, Namespace, Steps
from lash_redis.registry.calls.encoded_rows import registration_args
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.calls.terms import terms_stored
from lash_redis.registry.calls.ticks import due_in, due_schedules, planned, submit_ticks, tick_schedules
from lash_redis.registry.codec import decode_values, encode_values
from lash_redis.registry.unreadable import readable

Declared = Literal["new", "changed", "same", "older", "differs", "due", "unstorable"]
Change = Literal["pause", "resume", "run", "remove", "undeclare", "check"]

_ATTEMPTS: Final = 5  # to change a schedule that becomes due again and again meanwhile
_FIELDS: Final = 19


def declare_schedules(namespace: Namespace, declared: Sequence[ScheduleDeclaration]) -> Steps[list[Declared]]:
    """Store schedules, each by its revision; return what became of each, in their order.

    One that is due is ticked before it is changed. One whose ticks cannot be computed here stays as it is (``due``),
    until a worker that can has ticked it. One that no process can be made of in this namespace stops no other
    (``unstorable``). That one, what is stored now, and what differs from what stands, is told.

    Raises:
        SettingsError: it is no declaration.
        RegistryUnavailable: no answer; the declarations may be sent again.
    """
    encoded, words = list[list[Any]](), dict[str, Declared]()
    for each in declared:
        checked_kind("a schedule", each, ScheduleDeclaration)
        try:
            encoded.append(_encoded(namespace, each))
        except (SettingsError, PayloadError) as error:
            emit(ScheduleNotStored(schedule=each.name, reason=text_of(error), location=each.location))
            words[each.name] = "unstorable"
            continue
        partitions = [namespace.partition_of(each.name)]
        yield from terms_stored(namespace, Terms(each.signatures, policies=each.policies), partitions)
    for _ in range(_ATTEMPTS):
        left = [each for each in encoded if each[0] not in words]
        answers = yield from batched(
            namespace, left, lambda each: str(each[0]), _declare, bytes_of=lambda each: len(bytes(each[9]))
        )
        words |= {str(each[0]): word for each, (word, note) in zip(left, answers, strict=True) if not note}
        due = due_schedules(note for _, note in answers)
        plans = [plan for each in due if (plan := planned(each)) is not None]
        if not plans:
            break
        yield from submit_ticks(namespace, plans)
    became: list[Declared] = [words.get(each.name, "due") for each in declared]
    for each, word in zip(declared, became, strict=True):
        _tell(each, word)
    return became


def _tell(declared: ScheduleDeclaration, became: Declared) -> None:
    if became in ("new", "changed"):
        emit(ScheduleDeclared(schedule=declared.name, revision=declared.revision, became=became))
    elif became == "differs":
        emit(ScheduleDiffers(schedule=declared.name, revision=declared.revision, location=declared.location))


def _encoded(namespace: Namespace, declared: ScheduleDeclaration) -> list[Any]:
    check_rule(declared.rule)
    for each in declared.policies:
        each.check_cost(declared.registration.cost, namespace.partitions)
    process_id, disposition, lane, data, content, further, *pairs = registration_args(
        declared.registration, MOST_INPUT_BYTES
    )
    rule = declared.rule
    rule_args = [rule.zone, rule.late_after_ms, rule.missed, rule.spec]
    # Without the signature's digest: rows of another release's signature are bound by name (rule 9.7).
    name, key = split_key(str(lane))
    queue, task, _ = lane_parts(name)
    keyed = [] if key is None else [scopes_of(name), key]
    known_by = [*rule_args, disposition, queue, task, data, content, *pairs, *keyed]
    digest = sha256(repr(known_by).encode()).hexdigest()[:32]
    return [
        process_id, declared.revision, digest, *rule_args, disposition, lane, data, content, further, *pairs,
    ]  # fmt: skip


def _declare(partition: int, declared: Sequence[list[Any]]) -> Call[list[tuple[Any, str]]]:
    """Declare schedules of one partition; of each answer what became of it, or a note if it is due."""

    def decode(reply: list[Any]) -> list[tuple[Any, str]]:
        return [(word.decode(), note.decode()) for word, note in zip(reply[1::2], reply[2::2], strict=True)]

    args: list[Argument] = [arg for each in declared for arg in each]
    return Call("declare_schedules", partition, args, decode, word=b"DECLARED")


def all_schedules(namespace: Namespace) -> Steps[list[Schedule]]:
    """Return all schedules, by name. What cannot be read is told, and left out (rule 8.15)."""
    found: list[Schedule] = []
    for partition in range(namespace.partitions):
        page, after = yield from schedules_page(namespace, partition)
        found += page
        while after:
            page, after = yield from schedules_page(namespace, partition, after)
            found += page
    return sorted(found, key=lambda each: each.name)


def schedule_named(namespace: Namespace, name: str) -> Steps[Schedule | None]:
    """Return one schedule; None if none of that name is stored, or it cannot be read."""
    # What comes right before it: no name has a character as late as DEL.
    checked = NAME.checked("the name of a schedule", name)
    before = f"{checked[:-1]}{chr(ord(checked[-1]) - 1)}\x7f"
    page, _ = yield from schedules_page(namespace, namespace.partition_of(name), before, 1)
    return page[0] if page and page[0].name == name else None


def schedules_page(
    _: Namespace, partition: int, after: str = "", limit: int = MAX_BATCH
) -> Call[tuple[list[Schedule], str]]:
    """Return the schedules of a partition after ``after``, by name, and after which the next page begins, if any."""

    def decode(reply: list[Any]) -> tuple[list[Schedule], str]:
        now_ms, found = int(reply[1]), [reply[at : at + _FIELDS] for at in range(2, len(reply), _FIELDS)]
        names = [values[0].decode() for values in found]
        read = [
            readable("schedule", name, lambda values=values: _schedule(values, now_ms))  # type: ignore[misc]
            for name, values in zip(names, found, strict=True)
        ]
        return [each for each in read if each is not None], names[-1] if len(names) == limit else ""

    return Call("schedules", partition, [after, limit], decode, word=b"SCHEDULES")


def _schedule(values: list[bytes], now_ms: int) -> Schedule:
    *texts, pause = values
    name, revision, spec, zone, missed, late, lane, *rest = (each.decode() for each in texts)
    paused, from_ms, due, last_tick, missed_number, last_missed, refused, last_refused, *declared = rest
    lane, _ = split_key(lane)
    queue, task, _ = lane_parts(lane)
    return Schedule(
        name,
        int(revision),
        ScheduleRule(spec, zone, missed, int(late)),
        task,
        queue,
        lane,
        paused_at_ms=_number(paused),
        from_ms=int(from_ms),
        due_at_ms=_number(due),
        last_tick_ms=_number(last_tick),
        missed=int(missed_number or 0),
        last_missed_ms=_number(last_missed),
        refused=int(refused or 0),
        last_refused_ms=_number((last_refused.split() or [""])[-1]),
        declared_at_ms=int(declared[0] or 0),
        undeclared_at_ms=_number(declared[1]),
        differs_at_ms=_number(declared[2]),
        now_ms=now_ms,
        pause=PauseRequest(*decode_values(pause)) if pause else None,
    )


def _number(text: str) -> int | None:
    return int(text) if text else None


def pause_schedule(namespace: Namespace, name: str, request: PauseRequest | None = None) -> Steps[None]:
    """Submit no more ticks of a schedule until ``resume_schedule``. What is due is ticked first. The first stands.

    Raises:
        UnknownSchedule: none of that name is stored.
        SettingsError: no schedule can be called so.
    """
    data = b""
    if request is not None:
        checked_kind("request", request, PauseRequest)
        data = encode_values(request.requested_by, request.requested_at_ms, request.reason)
    yield from _changed(namespace, "pause", name, data=data)


def resume_schedule(namespace: Namespace, name: str) -> Steps[None]:
    """Let a paused schedule go on: from now, as if there had been no ticks meanwhile.

    Raises:
        UnknownSchedule: none of that name is stored.
        SettingsError: no schedule can be called so.
    """
    yield from _changed(namespace, "resume", name)


def remove_schedule(namespace: Namespace, name: str) -> Steps[None]:
    """Forget a schedule. What is due is ticked first. A worker whose code declares it stores it again.

    Raises:
        UnknownSchedule: none of that name is stored.
        SettingsError: no schedule can be called so.
    """
    yield from _changed(namespace, "check", name)  # a removal that is sent again finds nothing
    yield from _changed(namespace, "remove", name, may_be_gone=True)


def run_schedule(namespace: Namespace, name: str) -> Steps[str]:
    """Submit one process of a schedule beside its ticks, paused or not, and return its id.

    Raises:
        UnknownSchedule: none of that name is stored.
        SettingsError: no schedule can be called so.
    """
    process_id = run_id(name, random_token())
    yield from _changed(namespace, "run", name, process_id)
    return process_id


def undeclare_schedule(namespace: Namespace, name: str) -> Steps[None]:
    """Note that a worker which has the task of a schedule does not declare it. It ticks all the same."""
    yield from _changed(namespace, "undeclare", name, may_be_gone=True)


def _changed(
    namespace: Namespace, what: Change, name: str, run_id: str = "", *, data: bytes = b"", may_be_gone: bool = False
) -> Steps[None]:
    partition = namespace.partition_of(NAME.checked("the name of a schedule", name))
    for _ in range(_ATTEMPTS):
        due = yield from Call("change_schedule", partition, [what, name, run_id, data], _answer)
        if due is True:
            return
        if due is None:
            if may_be_gone:
                return
            raise UnknownSchedule(name)
        yield from tick_schedules(namespace, [due])
    reason = f"schedule {name!r} was due again each time it was to be changed: try again"
    raise RegistryUnavailable("change_schedule", reason, maybe_applied=False)


def _answer(reply: list[Any]) -> DueSchedule | Literal[True] | None:
    match reply[0]:
        case b"DONE":
            return True
        case b"ABSENT":
            return None
        case b"DUE":
            return due_in(reply[1].decode())
    raise refusal("", reply)
