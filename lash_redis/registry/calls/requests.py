"""What operators say: abandon this, cancel this, and what became of what was abandoned. Pure."""

from __future__ import annotations

from lash_redis.core.model import AbandonRequest, CancelRequest, ProcessRecord
from lash_redis.core.outcomes import Resolution
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.calls.call import Call, Namespace, about
from lash_redis.registry.codec import encode_resolution, encode_values


def request_abandon(namespace: Namespace, process_id: str, request: AbandonRequest) -> Call[ProcessRecord]:
    """Record an operator's permission to accept uncertainty; a sweep acts on it.

    Raises:
        NothingToAbandon: it is rerunnable or never started: cancel it instead.
    """
    return about(namespace, "request_abandon", process_id, encoded_request(request, AbandonRequest))


def request_cancel(namespace: Namespace, process_id: str, request: CancelRequest) -> Call[ProcessRecord]:
    """Record a wish that the work stop; what nobody holds and nobody started is cancelled at once."""
    return about(namespace, "request_cancel", process_id, encoded_request(request, CancelRequest))


def resolve(namespace: Namespace, process_id: str, resolution: Resolution) -> Call[ProcessRecord]:
    """Record what was found out about an abandoned process, beside its fact; the first resolution stands for ever.

    Raises:
        UnknownProcess: no process has this id.
        NothingToResolve: it has not ended, or ended otherwise.
        PayloadError: the value cannot be encoded, or is too long.
    """
    checked_kind("resolution", resolution, Resolution)
    return about(namespace, "resolve", process_id, encode_resolution(resolution), resolution.kind.value[0])


def encoded_request(request: AbandonRequest | CancelRequest, kind: type) -> bytes:
    """Return a request as the row holds it."""
    checked_kind("request", request, kind)
    return encode_values(request.requested_by, request.requested_at_ms, request.reason)
