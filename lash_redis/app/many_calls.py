"""What ``submit_many`` says of its items: which one an error is about, and what an item must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lash_redis.core.checks import refused
from lash_redis.core.error_text import shown
from lash_redis.core.errors import NotUnique, PayloadError, QueueFull, RegistryUnavailable, SettingsError
from lash_redis.core.model import ProcessRegistration


@contextmanager
def located(batch: Sequence[ProcessRegistration], sent: int) -> Iterator[None]:
    """Note on an error which item of ``submit_many`` it is about, and how many are registered."""
    try:
        yield
    except PayloadError as error:
        at = next((number for number, each in enumerate(batch) if each.id == error.process_id), None)
        if at is not None:
            locate(error, sent + at, sent)
        raise
    except (NotUnique, QueueFull) as error:
        error.add_note(f"submit_many: the first {sent} of the iterable are registered, and no other is")
        raise
    except RegistryUnavailable as error:
        rest = f"the next {len(batch)} may be" if error.maybe_applied else "no other is"
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
