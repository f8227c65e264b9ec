"""Registrations that differ in id and arguments alone, as most submits of one task do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from lash_redis.core.model import ProcessRegistration, TaskInput
from lash_redis.core.terms import NO_TERMS, Terms
from lash_redis.registry.calls.awaiting import AWAITED_BYTES
from lash_redis.registry.calls.call import Namespace, Steps
from lash_redis.registry.calls.encoded_rows import Encoded, encode_registration, head_of
from lash_redis.registry.calls.registration import encoded_sent
from lash_redis.registry.content import plain_input

Arguments: TypeAlias = tuple[list[Any], dict[str, Any]]  # by position and by name


class AlikeRows(msgspec.Struct, frozen=True):
    """A batch of them.

    Attributes:
        like: a registration that each of them equals but for id and input.
        rows: the batch.
    """

    like: ProcessRegistration
    rows: list[Encoded]


class AlikeCalls:
    """Makes the registrations of calls that are registered alike.

    Args:
        like: the registration of one of them, without a unique key, and not of a group.
        max_payload_bytes: the longest input.
    """

    def __init__(self, like: ProcessRegistration, max_payload_bytes: int) -> None:
        self._like = like
        self._task = like.input.task if isinstance(like.input, TaskInput) else ""
        self._most = max_payload_bytes
        self._head = head_of(like)
        self._more_bytes = AWAITED_BYTES * len(like.after)

    def rows(self, process_ids: Sequence[str], calls: Sequence[Arguments]) -> AlikeRows:
        """Return the batch of these calls, whose arguments a payload can hold.

        Raises:
            PayloadError: an input cannot be encoded, or is too long.
        """
        return AlikeRows(self._like, list(map(self._row, process_ids, calls)))

    def _row(self, process_id: str, call: Arguments) -> Encoded:
        args, kwargs = call
        if (data := plain_input(args, kwargs, self._most)) is not None:
            return Encoded(process_id, data, b"", self._head, len(data) + self._more_bytes, self._like.queue)
        registration = self._like.of_call(process_id, TaskInput(self._task, tuple(args), kwargs))
        return encode_registration(registration, self._most)


def submit_alike(namespace: Namespace, batch: AlikeRows, terms: Terms = NO_TERMS) -> Steps[list[str]]:
    """Do what ``submit_many`` does."""
    answers = yield from encoded_sent(namespace, [batch.like], batch.rows, terms)
    return [
        answer if isinstance(answer, str) else each.process_id for each, answer in zip(batch.rows, answers, strict=True)
    ]
