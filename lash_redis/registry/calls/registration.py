"""Registering processes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from lash_redis.core.checks import checked_iterable
from lash_redis.core.errors import NotUnique, OutcomePruned, QueueFull, RegistrationConflict
from lash_redis.core.model import ProcessRecord, ProcessRegistration, TaskInput
from lash_redis.core.struct_checks import checked_kind
from lash_redis.core.terms import NO_TERMS, Terms
from lash_redis.registry.calls.awaiting import check_awaited_routes
from lash_redis.registry.calls.batches import batched, checked_batch
from lash_redis.registry.calls.call import Call, Namespace, Steps
from lash_redis.registry.calls.encoded_rows import Encoded, encode_registration, runs_of
from lash_redis.registry.calls.forgetting import tombstones
from lash_redis.registry.calls.reads import get
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.calls.sequences import check_routes
from lash_redis.registry.calls.terms import terms_stored
from lash_redis.registry.codec import decode_input
from lash_redis.registry.differences import differences

_ALL_NEW: Final = 2  # the length of a reply that says nothing of each


def register(namespace: Namespace, registration: ProcessRegistration) -> Steps[ProcessRecord]:
    """Register one process; the same content again answers the record as it stands.

    If another process is there with its unique key, the record is that one's. Of a process that ended and was forgotten
    the record says how and when it ended, no more.

    Raises:
        RegistrationConflict: the id is registered with other content.
        PayloadError: the input cannot be encoded, or is too long.
        OutcomePruned: it ended and was pruned before it could be read.
    """
    checked_kind("registration", registration, ProcessRegistration)
    (stands,) = yield from submit_many(namespace, [registration])
    record = yield from get(namespace, stands)
    return record or (yield from _forgotten(namespace, registration))


def _forgotten(namespace: Namespace, registration: ProcessRegistration) -> Steps[ProcessRecord]:
    """Return what is known of a process that ended and was forgotten: it was registered with this very content."""
    (tombstone,) = yield from tombstones(namespace, [registration.id])
    if tombstone is None:
        raise OutcomePruned(registration.id)
    return ProcessRecord(
        id=registration.id,
        input=registration.input,
        disposition=registration.disposition,
        status=tombstone.status,
        phase=None,
        granted_to=registration.granted_to,
        ended_at_ms=tombstone.ended_at_ms,
    )


def register_many(namespace: Namespace, registrations: Iterable[ProcessRegistration]) -> Steps[list[bool]]:
    """Register many; return which were new, in their order.

    Args:
        namespace: where.
        registrations: the processes.

    They are sent in batches of one partition each, of at most 500 rows and 1 MiB of inputs (a longer input goes alone).
    Each batch is written whole or not at all, one after the other.

    Raises:
        RegistrationConflict: an id is registered with other content; the batches before are written.
        NotUnique: one is refused for another process with its unique key; the batches before are written.
        QueueFull: too many wait in a bounded queue; the batches before are written.
        SettingsError: an id has another route than all that have its unique key.
        PayloadError: an input cannot be encoded, or is too long; nothing is written.
    """
    answers = yield from _all_sent(namespace, _listed(registrations), NO_TERMS)
    return [answer is True for answer in answers]


def submit_many(
    namespace: Namespace, registrations: Iterable[ProcessRegistration], terms: Terms = NO_TERMS
) -> Steps[list[str]]:
    """Register many, as ``register_many`` does; return the id of the process that stands for each, in their order.

    That is its own, or the id of the one that is there already with the same unique key. Two registrations with one
    unique key go in different batches, one after the other.

    Args:
        namespace: where.
        registrations: the processes.
        terms: the signatures, queues and scopes that the registrations name; stored before the first of them in a
            partition.
    """
    given = _listed(registrations)
    answers = yield from _all_sent(namespace, given, terms)
    return [answer if isinstance(answer, str) else each.id for each, answer in zip(given, answers, strict=True)]


def submit(
    namespace: Namespace, registration: ProcessRegistration, terms: Terms = NO_TERMS, waiter: str = ""
) -> Steps[tuple[str, bool]]:
    """Register one process; return the id of the process that stands for it, and whether that is a new one.

    Args:
        namespace: where.
        registration: the process.
        terms: as for ``submit_many``.
        waiter: the channel of a client that waits for the end; a new row notes it, as ``watch`` does.
    """
    encoded = encode_registration(registration, namespace.max_payload_bytes, namespace.partitions, waiter=waiter)
    (answer,) = yield from encoded_sent(namespace, [registration], [encoded], terms)
    return (answer, False) if isinstance(answer, str) else (registration.id, answer)


def submit_all(
    namespace: Namespace, registrations: Sequence[ProcessRegistration], terms: Terms = NO_TERMS, waiter: str = ""
) -> Steps[list[tuple[str, bool]]]:
    """Do what ``submit`` does for each, as ``submit_many`` does."""
    answers = yield from _all_sent(namespace, registrations, terms, waiter)
    return [
        (answer, False) if isinstance(answer, str) else (each.id, answer)
        for each, answer in zip(registrations, answers, strict=True)
    ]


def _listed(registrations: Iterable[ProcessRegistration]) -> list[ProcessRegistration]:
    return list(checked_iterable("registrations", "ProcessRegistration", registrations))


def _all_sent(
    namespace: Namespace, given: Sequence[ProcessRegistration], terms: Terms, waiter: str = ""
) -> Steps[list[bool | str]]:
    """Send them; answer of each whether it is new, or the id of the one that is there already."""
    most, number = namespace.max_payload_bytes, namespace.partitions
    encoded = [encode_registration(registration, most, number, waiter=waiter) for registration in given]
    return (yield from encoded_sent(namespace, given, encoded, terms))


def encoded_sent(
    namespace: Namespace, given: Sequence[ProcessRegistration], encoded: Sequence[Encoded], terms: Terms
) -> Steps[list[bool | str]]:
    """Send what is encoded; answer as ``_all_sent``. Of those that differ in id and input alone one may be given."""
    if namespace.partitions > 1:
        check_routes(given)
        check_awaited_routes(given)
    for policy in terms.policies:
        for each in given:
            policy.check_cost(each.cost, namespace.partitions)
    if terms is not NO_TERMS:
        one = namespace.partitions == 1
        partitions = {0} if one else {namespace.partition_of(each.process_id) for each in encoded}
        yield from terms_stored(namespace, terms, partitions)
    try:
        if len(encoded) == 1:  # as most are that are not sent in bulk: there is nothing to put together
            partition = 0 if namespace.partitions == 1 else namespace.partition_of(encoded[0].process_id)
            return (yield from register_call(namespace.partitions, partition, encoded))
        answers = yield from batched(
            namespace,
            encoded,
            lambda each: each.process_id,
            partial(register_call, namespace.partitions),
            bytes_of=lambda each: each.size,
            apart_by=lambda each: each.unique,
        )
    except RegistrationConflict as conflict:
        raise (yield from _explained(namespace, conflict, given, encoded)) from None
    return answers


def _explained(
    namespace: Namespace,
    conflict: RegistrationConflict,
    given: Sequence[ProcessRegistration],
    encoded: Sequence[Encoded],
) -> Steps[RegistrationConflict]:
    """Read the first of the rows that stand, and return the conflict with what differs there."""
    first = conflict.process_ids[0]
    stands = yield from get(namespace, first)
    position = next((number for number, each in enumerate(given) if each.id == first), None)
    if position is None:
        return conflict  # of ids that were made at random
    if stands is None:
        (tombstone,) = yield from tombstones(namespace, [first])
        ended = f"with other content: it ended as {tombstone.status.value}, and was forgotten" if tombstone else ""
        return RegistrationConflict(conflict.process_ids, ended, conflict.batch)
    wanted = given[position]
    task = wanted.input.task if isinstance(wanted.input, TaskInput) else ""
    wanted = msgspec.structs.replace(wanted, input=decode_input(encoded[position].input, task))
    return RegistrationConflict(conflict.process_ids, differences(stands, wanted), conflict.batch)


def register_call(partitions: int, partition: int, registrations: Sequence[Encoded]) -> Call[list[bool | str]]:
    """Return the call that registers a batch; it answers of each whether it is new, or the id of the one it meets.

    Raises:
        QueueFull: and what else ``register_many`` raises; nothing of the batch is written.
    """
    if len(registrations) != 1:
        checked_batch("registrations", [registration.process_id for registration in registrations])
    return Call("register", partition, runs_of(registrations), partial(_registered, len(registrations), partitions))


def _registered(sent: int, partitions: int, reply: list[Any]) -> list[bool | str]:
    match reply[0]:
        case b"REGISTERED":
            if len(reply) == _ALL_NEW:
                return [True] * sent
            return [flag[1:].decode() if flag[:1] == b"=" else flag == b"1" for flag in reply[2:]]
        case b"CONFLICT":
            raise RegistrationConflict([process_id.decode() for process_id in reply[1:]], batch=sent)
        case b"DUPLICATE":
            raise NotUnique(reply[2].decode(), reply[1].decode(), batch=sent)
        case b"FULL":
            queue, waiting, most = reply[1].decode(), int(reply[2]), int(reply[3])
            raise QueueFull(queue, waiting, most, batch=sent, partitions=partitions)
    raise refusal("", reply)
