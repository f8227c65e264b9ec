"""Pausing and resuming queues and tasks: one call for each partition, and no row moves. Pure (rule 9.10)."""

from __future__ import annotations

from typing import Any

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import PauseRequest
from lash_redis.core.pausing import MOST_PAUSED, Paused, pause_name
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.calls.call import Call, Namespace, Steps
from lash_redis.registry.calls.everywhere import in_each_partition
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.codec import decode_values, encode_values
from lash_redis.registry.unreadable import readable


def pause(
    namespace: Namespace, request: PauseRequest, *, queue: str | None = None, task: str | None = None
) -> Steps[Paused]:
    """Let nothing of a queue or of a task begin; return the pause that stands, which is the first one.

    If a partition does not answer, it is paused in those before, and the error says so.

    Raises:
        SettingsError: not one of the two is given, or it is outside what is allowed, or too many are paused.
    """
    checked_kind("request", request, PauseRequest)
    name = pause_name(queue, task)
    data = encode_values(request.requested_by, request.requested_at_ms, request.reason)
    stand = yield from in_each_partition(namespace, lambda each: Call("pause", each, [name, data], _paused))
    return _named(name, stand, namespace.partitions)


def resume(namespace: Namespace, *, queue: str | None = None, task: str | None = None) -> Steps[None]:
    """Let a queue or a task begin again, if it is paused.

    Raises:
        SettingsError: not one of the two is given, or it is outside what is allowed.
    """
    name = pause_name(queue, task)
    yield from in_each_partition(namespace, lambda each: Call("resume", each, [name], lambda _: None, word=b"RESUMED"))


def pauses(namespace: Namespace) -> Steps[list[Paused]]:
    """Return what is paused, by name: first queues, then tasks."""
    found: dict[str, list[PauseRequest]] = {}
    for partition in range(namespace.partitions):
        for name, request in (yield from _pauses_in(partition)).items():
            found.setdefault(name, []).append(request)
    return [_named(name, requests, namespace.partitions) for name, requests in sorted(found.items())]


def _pauses_in(partition: int) -> Call[dict[str, PauseRequest]]:
    return Call("pauses", partition, [], _read, word=b"PAUSES")


def _paused(reply: list[Any]) -> PauseRequest:
    match reply[0]:
        case b"PAUSED":
            return _request(reply[1])
        case b"TOO_MANY":
            raise SettingsError(
                f"expected at most {MOST_PAUSED} queues and tasks to be paused at a time, got one more: resume some"
            )
    raise refusal("", reply)


def _read(reply: list[bytes]) -> dict[str, PauseRequest]:
    found = {}
    for name, data in zip(reply[1::2], reply[2::2], strict=True):
        text = name.decode(errors="replace")
        request = readable("pause", text, lambda data=data: _request(data))  # type: ignore[misc]
        found[text] = request or PauseRequest("somebody (a newer lash-redis wrote it)", 0)
    return found


def _request(data: bytes) -> PauseRequest:
    return PauseRequest(*decode_values(data)[:3])


def _named(name: str, requests: list[PauseRequest], partitions: int) -> Paused:
    kind, _, named = name.partition(":")
    first = min(requests, key=lambda request: request.requested_at_ms)
    return Paused(first, named if kind == "q" else None, named if kind == "t" else None, len(requests), partitions)
