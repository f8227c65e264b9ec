"""What ``submit_many`` says of its items: which one an error is about, and what an item must be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from lash_redis.core.checks import MAX_BATCH, checked_iterable, refused
from lash_redis.core.error_text import shown
from lash_redis.core.errors import NotUnique, PayloadError, QueueFull, RegistryUnavailable, SettingsError

T = TypeVar("T")


@contextmanager
def located(process_ids: Sequence[str], sent: int) -> Iterator[None]:
    """Note on an error which item of ``submit_many`` it is about, and how many are registered.

    Args:
        process_ids: those of the batch that is sent.
        sent: how many were registered before.
    """
    try:
        yield
    except PayloadError as error:
        if error.process_id in process_ids:
            locate(error, sent + process_ids.index(error.process_id), sent)
        raise
    except (NotUnique, QueueFull) as error:
        error.add_note(f"submit_many: the first {sent} of the iterable are registered, and no other is")
        raise
    except RegistryUnavailable as error:
        rest = f"the next {len(process_ids)} may be" if error.maybe_applied else "no other is"
        error.add_note(f"submit_many: the first {sent} of the iterable are registered, and {rest}")
        raise


def locate(error: PayloadError | SettingsError, number: int, sent: int, item: object = None) -> None:
    """Say in the message which item of ``submit_many`` it is about, and in a note how many are registered."""
    value = "" if item is None else f", {shown(item)}"
    error.args = (f"item {number} of the iterable (from 0){value}: {error}",)
    error.add_note(f"submit_many: the first {sent} of the iterable are registered, and no other is")


def arguments(what: str, given: object) -> tuple[Any, ...]:
    """Return arguments that are given as one value as a tuple.

    Raises:
        SettingsError: it is no tuple and no list, so that their order or their number may be meant otherwise.
    """
    if not isinstance(given, (tuple, list)):
        raise refused(what, "a tuple or list of arguments", given, ": write (…,)")
    return tuple(given)


def in_batches(
    calls: Iterable[tuple[Any, ...]], process_id: str | None, made_of: Callable[[tuple[Any, ...]], T]
) -> Iterator[list[T]]:
    """Yield what is made of the calls of a ``submit_many``, 500 at a time.

    Args:
        calls: what was given to it.
        process_id: the id that is chosen for what the task submits, which must be None.
        made_of: makes something of the arguments of one call.

    Raises:
        PayloadError: as ``made_of``, with the place of the item.
        SettingsError: also if an item is no tuple, or there is a ``process_id``.
    """
    if process_id is not None:
        raise SettingsError(
            f"submit_many registers many processes: they cannot all have id {process_id!r} (submit each by itself)"
        )
    batch, sent = list[T](), 0
    for item in checked_iterable("calls", "tuples of arguments", calls):
        try:
            batch.append(made_of(arguments("an item of submit_many", item)))
        except (PayloadError, SettingsError) as error:
            locate(error, sent + len(batch), sent, item)
            raise
        if len(batch) == MAX_BATCH:
            yield batch
            sent += MAX_BATCH
            batch = []
    if batch:
        yield batch
