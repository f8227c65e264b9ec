"""Cancelling many processes. Pure: it yields calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from lash_redis.core.errors import SettingsError
from lash_redis.core.model import CancelRequest
from lash_redis.core.struct_checks import checked_kind
from lash_redis.registry.answers import BulkReport
from lash_redis.registry.calls.batches import batched, checked_batch
from lash_redis.registry.calls.call import Call, Namespace, Steps
from lash_redis.registry.calls.requests import encoded_request
from lash_redis.registry.calls.selecting import FIRST_SHOWN, MOST, Which, needs_a_filter, select
from lash_redis.registry.rows import Row

_ASKED_BEFORE: Final = "has a cancel request already"
_ENDED_MEANWHILE: Final = "ended meanwhile, or got another cancel request"


def cancel_many(
    namespace: Namespace, request: CancelRequest, which: Which, *, most: int = MOST, only_count: bool = False
) -> Steps[BulkReport]:
    """Record one cancel request on all that is meant and has not ended; what nobody holds and started ends at once.

    What has a cancel request already is left out. ``only_count``: nothing is changed.

    Raises:
        SettingsError: nothing is given that would leave out a process, or a value is outside what is allowed.
    """
    checked_kind("request", request, CancelRequest)
    needs_a_filter(which)
    if which.status is not None:
        raise SettingsError("expected no state: what has ended cannot be cancelled")
    found = yield from select(namespace, which, most, _why_not_cancelled)
    done: Counter[str] = Counter()
    if not only_count:
        answers = yield from batched(
            namespace, found.ids, str, partial(cancel_call, encoded_request(request, CancelRequest))
        )
        done = Counter(answers)
    if gone := done.pop("gone", 0):
        found.left_out[_ENDED_MEANWHILE] = gone
    return BulkReport(found.ids[:FIRST_SHOWN], len(found.ids), dict(done), found.left_out, found.read, found.has_more)


def _why_not_cancelled(found: Sequence[Row]) -> Steps[list[str]]:
    yield from ()
    return ["has ended" if row.is_terminal else _ASKED_BEFORE if row.cancel_request else "" for row in found]


def cancel_call(request: bytes, partition: int, process_ids: Sequence[str]) -> Call[list[str]]:
    """Return the call that asks it of processes of one partition; for each it answers asked, cancelled or gone."""
    checked_batch("process ids", process_ids)

    def decode(reply: list[Any]) -> list[str]:
        return [word.decode() for word in reply[1:]]

    return Call("cancel_many", partition, [request, *process_ids], decode, word=b"ASKED")
