"""Structs to bytes and back: inputs, outcomes, owners and requests. Pure.

Each value has one canonical encoding, since Lua compares the bytes and never decodes them (rule 8.8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lash_redis.core.checks import MAX_PAYLOAD_BYTES
from lash_redis.core.error_text import shown
from lash_redis.core.errors import PayloadError
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import (
    AbandonRequest,
    CancelRequest,
    ExternalInput,
    ProcessInput,
    ProcessRegistration,
    ProcessStatus,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.core.outcomes import (
    Abandoned,
    AbandonEvidence,
    AbandonWriter,
    Cancelled,
    Failure,
    Outcome,
    Resolution,
    Success,
)
from lash_redis.registry.machines import host_digest
from lash_redis.registry.unreadable import readable

# The least room for a failure, and the most for what the pool itself writes about an end.
_LEAST_FAILURE_BYTES = 1024
_MOST_OWN_BYTES = 16_384
_WORTH_NAMING_BYTES = 1024
_MOST_RESOLVED_BYTES = 4096
TASK_PARTS = 2  # arguments by position and by name
_FAILURE_OVERHEAD_BYTES = 16  # of three texts in one array
_CUT = "…"

_encoder = msgspec.msgpack.Encoder()
_decode = msgspec.msgpack.Decoder().decode
_decode_owner = msgspec.msgpack.Decoder(LeaseOwner).decode

DISPOSITION_CODES = {
    RecoveryDisposition.RERUNNABLE: "r",
    RecoveryDisposition.OWNER_BOUND: "o",
    RecoveryDisposition.EXTERNALLY_OWNED: "e",
}
DISPOSITIONS = {code.encode(): disposition for disposition, code in DISPOSITION_CODES.items()}

STATUS_CODES = {
    ProcessStatus.COMPLETED: "c",
    ProcessStatus.FAILED: "f",
    ProcessStatus.CANCELLED: "k",
    ProcessStatus.ABANDONED: "a",
}
_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_COMPLETED = STATUS_CODES[ProcessStatus.COMPLETED]
STATUSES = {code.encode(): status for status, code in STATUS_CODES.items()}


def _encoded(what: str, value: Any, at_most: int, *, is_scalar: bool = False) -> bytes:
    try:
        data = _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PayloadError(f"{what} cannot be carried: {_reason(error)}") from None
    try:
        if not is_scalar:
            _decode(data)  # not all that can be encoded can be decoded: a dict as a key, a `msgspec.Raw`
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise PayloadError(f"{what} cannot be carried, since nobody could read it again: {error}") from None
    if len(data) > at_most:
        raise PayloadError(
            f"expected {what} to be at most {at_most} bytes once encoded, got {len(data)} "
            "(max_payload_bytes of the Lash or registry that sends it sets the limit; for large data carry a reference)"
        )
    return data


def _reason(error: Exception) -> str:
    """Return why a value cannot be encoded: what the encoder says, in Python's words."""
    match error:
        case UnicodeEncodeError():
            return "it has a text with a surrogate, which UTF-8 cannot hold"
        case OverflowError():
            return "it has an integer of more than 64 bits; carry it as str"
        case RecursionError():
            return "it is nested too deep, or contains itself"
        case TypeError() if found := re.search(r"objects of type (.+) is unsupported", str(error)):
            return f"it has a `{found[1]}`, which is no plain value (None, bool, int, float, str, bytes, list, dict)"
    return str(error)


def encode_input(registration: ProcessRegistration, at_most: int) -> bytes:
    """Return a registration's input as bytes.

    Raises:
        PayloadError: it cannot be encoded, or is longer than ``at_most`` bytes.
    """
    try:
        return _encoded(f"the input of process {registration.id!r}", input_parts(registration.input), at_most)
    except PayloadError as error:
        told = PayloadError(f"{error}{_longest(registration.input)}")
        told.process_id = registration.id
        raise told from None


def _longest(value: ProcessInput) -> str:
    """Return which argument is the longest, in words that end an error; empty if they cannot be measured."""
    if not isinstance(value, TaskInput):
        return ""
    arguments = [(f"number {number}", each) for number, each in enumerate(value.args, 1)] + list(value.kwargs.items())
    try:
        lengths = [(len(_encoder.encode(each)), name) for name, each in arguments]
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ""
    length, name = max(lengths, default=(0, ""))
    return f"; argument {name} alone has {length}" if length > _WORTH_NAMING_BYTES else ""


def input_parts(value: ProcessInput) -> list[Any]:
    """Return what is encoded of an input. Which task it is for stands in the lane of the row."""
    match value:
        case TaskInput(_, args, kwargs):
            return [args, kwargs]
        case ExternalInput(metadata):
            return [metadata]
    raise PayloadError(f"expected input to be a TaskInput or an ExternalInput, got {shown(value)}")


def decode_input(data: bytes, task: str) -> ProcessInput:
    """Return the input that ``data`` holds, of a task or, if that is empty, of none."""
    value = _decode(data)
    if len(value) == 1:
        return ExternalInput(value[0])
    return TaskInput(task, tuple(value[0]), value[1])


def decode_call(data: bytes) -> tuple[list[Any], Mapping[str, Any]] | None:
    """Return the arguments in a task's input, or None if it is an ``ExternalInput``: nothing to execute."""
    value = _decode(data)
    return (value[0], value[1]) if len(value) == TASK_PARTS else None


def encode_outcome(outcome: Outcome, at_most: int = MAX_PAYLOAD_BYTES) -> tuple[str, bytes]:
    """Return the state's code and the outcome as bytes. Evidence goes without its time: the script's stands.

    ``at_most`` bounds what a task returns. What the pool itself writes is short by itself: a failure is shortened to
    that length (to 1 KiB, if that is more), and evidence and the reason of a cancel to 16 KiB.

    Raises:
        PayloadError: it cannot be encoded, or a result is longer than ``at_most`` bytes.
    """
    if isinstance(outcome, Success):  # first, as most are
        value = outcome.value
        return _COMPLETED, _encoded("the result", [value], at_most, is_scalar=type(value) in _SCALARS)
    match outcome:
        case Failure():
            return STATUS_CODES[ProcessStatus.FAILED], _encoded_failure(outcome, max(at_most, _LEAST_FAILURE_BYTES))
        case Cancelled(reason):
            parts = [_shortened(reason, _MOST_OWN_BYTES)]
            return STATUS_CODES[ProcessStatus.CANCELLED], _encoded("the cancel's reason", parts, MAX_PAYLOAD_BYTES)
        case Abandoned(evidence):
            detail = _shortened(evidence.detail, _MOST_OWN_BYTES)
            parts = [evidence.writer.value, evidence.owner, evidence.proof, detail]
            return STATUS_CODES[ProcessStatus.ABANDONED], _encoded("the evidence", parts, MAX_PAYLOAD_BYTES)
    raise PayloadError(f"expected an outcome (Success, Failure, Cancelled or Abandoned), got {shown(outcome)}")


def _encoded_failure(failure: Failure, at_most: int) -> bytes:
    """Return a failure as bytes, its texts shortened where it would be too long: a failure is always written."""
    room = at_most - _FAILURE_OVERHEAD_BYTES
    code = _shortened(failure.code, room // 4)
    message = _shortened(failure.message, (room - _length(code)) // 2)
    traceback = _shortened(failure.traceback, room - _length(code) - _length(message), keep_end=True)
    return _encoded("the failure", [code, message, traceback], at_most)


def _length(text: Any) -> int:
    return len(text.encode("utf-8", "replace")) if isinstance(text, str) else 0


def _shortened(text: Any, at_most: int, *, keep_end: bool = False) -> Any:
    """Return text of at most so many bytes that UTF-8 can hold, with a mark where it was cut; all else as it is."""
    if not isinstance(text, str):
        return text
    data = text.encode("utf-8", "replace")
    if len(data) <= at_most:
        return data.decode()
    room = max(at_most - len(_CUT.encode()), 0)
    kept = data[len(data) - room :] if keep_end else data[:room]
    cut = kept.decode("utf-8", "ignore")
    return f"{_CUT}{cut}" if keep_end else f"{cut}{_CUT}"


def decode_outcome(state: bytes, data: bytes, ended_at_ms: int, cancel_reason: str | None) -> Outcome:
    """Return the outcome that a terminal row holds."""
    status = STATUSES[state]
    if status is ProcessStatus.CANCELLED:
        return Cancelled(_decode(data)[0] if data else cancel_reason)
    value = _decode(data)
    if status is ProcessStatus.COMPLETED:
        return Success(value[0])
    if status is ProcessStatus.FAILED:
        return Failure(*value)
    writer, owner, proof, detail = value
    named = msgspec.convert(owner, LeaseOwner) if owner is not None else None
    return Abandoned(AbandonEvidence(AbandonWriter(writer), named, ended_at_ms, proof, detail))


def decode_failure(data: bytes) -> Failure:
    """Return the failure that a row keeps of a run that was tried again; it is encoded as an outcome."""
    return Failure(*_decode(data))


def encode_owner(owner: LeaseOwner) -> bytes:
    """Return the digest of an owner's machine (see ``host_digest``), a space, and the owner with its liveness."""
    return host_digest(owner).encode() + b" " + _encoder.encode(owner)


def decode_owner(digest: bytes, data: bytes) -> LeaseOwner:
    """Return the owner that a digest names.

    One that was forgotten (no ``data``) or cannot be read is shown by its digest; nothing proves its death here.
    """
    name = digest.decode()
    owner = readable("owner", name, lambda: _decode_owner(data.partition(b" ")[2])) if data else None
    if owner is not None:
        return owner
    return LeaseOwner.opaque(name, name)


def encode_values(*values: str | int | None) -> bytes:
    """Return a few plain values (of a request, of a death) as bytes."""
    return _encoder.encode(values)


def decode_abandon_request(data: bytes | None) -> AbandonRequest | None:
    """Return the abandon request that ``data`` holds, None if it is empty."""
    return AbandonRequest(*decode_values(data)[:3]) if data else None


def decode_cancel_request(data: bytes | None) -> CancelRequest | None:
    """Return the cancel request that ``data`` holds, None if it is empty."""
    return CancelRequest(*decode_values(data)[:3]) if data else None


def encode_resolution(resolution: Resolution) -> bytes:
    """Return a resolution as bytes.

    Raises:
        PayloadError: its value cannot be encoded, or is longer than 4096 bytes.
    """
    parts: list[Any] = [resolution.kind.value, resolution.by, resolution.at_ms, resolution.reason]
    if resolution.value is not None:
        parts.append(_encoded("the value of a resolution", resolution.value, _MOST_RESOLVED_BYTES))
    return _encoder.encode(parts)


def decode_resolution(data: bytes | None) -> Resolution | None:
    """Return the resolution that ``data`` holds, None if it is empty."""
    if not data:
        return None
    parts = decode_values(data)[:5]
    return Resolution(*parts[:4], *map(_decode, parts[4:]))


def decode_values(data: bytes) -> list[Any]:
    """Return what ``encode_values`` wrote."""
    value: list[Any] = _decode(data)
    return value
