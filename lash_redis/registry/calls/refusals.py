"""The status words of replies, as errors. Pure."""

from __future__ import annotations

from typing import Any, Final

from lash_redis.core.errors import (
    AlreadyStarted,
    AlreadyTerminal,
    AuthorityRejected,
    CannotAwait,
    CannotJoinGroup,
    LeaseHeld,
    LeaseLost,
    NamespaceMismatch,
    NothingToAbandon,
    NothingToResolve,
    NotItsTurn,
    ScriptError,
    UnknownProcess,
    UnreadableRow,
)
from lash_redis.core.model import ProcessLease
from lash_redis.core.places import DELAYED, PLACE_OF_CODE, QUEUED, Place
from lash_redis.core.policies import scope_named
from lash_redis.core.times_in_words import due_in_words
from lash_redis.registry.codec import STATUSES, decode_owner

_EXTERNAL: Final = (
    "it is externally owned, so that no worker may hold it or start it; whoever it was granted to completes it"
)

_FIRST: Final = "first "
_UNAWAITED: Final = {
    b"": "it is not registered: register it before, or earlier in the batch",
    b"stranger": "a member of a group waits for earlier members of that group alone",
}
_NO_MEMBER: Final = {
    b"stranger": "it is registered already, and not as a member of this group",
    b"unknown": "no such group is registered",
    b"closed": "the group is closed",
}


def refusal(  # noqa: PLR0911 - a word, an error
    process_id: str, reply: list[Any], lease: ProcessLease | None = None, *, authority: str = _EXTERNAL
) -> Exception:
    """Return the error that a reply's status word stands for; ``authority`` says what the caller has no right to."""
    match reply[0]:
        case b"UNKNOWN":
            return UnknownProcess(process_id)
        case b"TERMINAL":
            return AlreadyTerminal(process_id, STATUSES[reply[1]].value)
        case b"AUTHORITY":
            return AuthorityRejected(process_id, authority)
        case b"UNREADABLE":
            return UnreadableRow(process_id, "what a claim goes by is not what this release writes")
        case b"WAITS":
            return NotItsTurn(process_id, waits_for(PLACE_OF_CODE[reply[1]], reply[2].decode()))
        case b"STARTED_BY":
            return AlreadyStarted(process_id, decode_owner(reply[1], reply[2]))
        case b"LOST":
            return LeaseLost(process_id, lease)
        case b"HELD":
            return LeaseHeld(process_id, lease_in(process_id, reply))
        case b"NOTHING":
            return NothingToAbandon(process_id)
        case b"UNRESOLVABLE":
            place = PLACE_OF_CODE.get(reply[1])
            return NothingToResolve(process_id, place.name if place else STATUSES[reply[1]].value)
        case b"MISMATCH":
            return NamespaceMismatch(
                "the namespace's header is gone or changed (flushed, restored from a backup, or another server at its "
                "address?)"
            )
    return _waiting_refusal(process_id, reply) or ScriptError(f"unexpected reply {reply[0]!r}")


def _waiting_refusal(process_id: str, reply: list[Any]) -> Exception | None:
    match reply[0]:
        case b"UNAWAITED":
            return CannotAwait(reply[1].decode(), reply[2].decode(), _UNAWAITED[reply[3]])
        case b"NO_MEMBER":
            why = _NO_MEMBER.get(reply[3]) or f"the group has ended: {STATUSES[reply[3]].value}"
            return CannotJoinGroup(reply[1].decode(), reply[2].decode(), why)
        case b"NO_GROUP":
            return CannotJoinGroup(process_id, process_id, "it continues no group")
    return None


def waits_for(place: Place, detail: str) -> str:
    """Say in words what a row in this place waits for; ``detail`` is what the reply says of it."""
    if detail == "paused":
        return "its queue or its task is paused"
    if detail == "expired":
        return "nobody started it before it expired, so that it is about to be cancelled"
    if place is DELAYED:
        return f"it is delayed, {due_in_words(*map(int, detail.split()))}"
    if place is QUEUED and detail.startswith(_FIRST):
        return f"{detail.removeprefix(_FIRST)} is the first of its sequence, and goes before it"
    if place is QUEUED:
        return (
            f"it waits for {scope_named(detail)}"
            if detail != "head"
            else "another one, of the same key or limit, goes first"
        )
    number, *ids = detail.split()
    others = [each for each in ids if each != "*"]
    awaited = int(number) - ("*" in ids)
    named = ", ".join(others) + (", …" if len(others) < awaited else "")
    held_open = "its group is held open, and " if "*" in ids else ""
    processes = f"{awaited} process{'' if awaited == 1 else 'es'}"
    return f"{held_open}it waits for {processes} to end{f' ({named})' if named else ''}"


def lease_in(process_id: str, reply: list[Any]) -> ProcessLease:
    """Return the lease in a reply that names one."""
    _, digest, owner, token, fence, claimed, expires = reply
    return ProcessLease(process_id, decode_owner(digest, owner), token.decode(), int(fence), int(claimed), int(expires))
