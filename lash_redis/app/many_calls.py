"""What ``submit_many`` says of its items: which one an error is about, and what an item must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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
            error.add_note(place(sent + at, sent))
        raise
    except (NotUnique, QueueFull) as error:
        error.add_note(f"submit_many: the first {sent} of the iterable are registered, and no other is")
        raise
    except RegistryUnavailable as error:
        rest = f"the next {len(batch)} may be" if error.maybe_applied else "no other is"
        error.add_note(f"submit_many: the first {sent} of the iterable are registered, and {rest}")
        raise


def place(item: int, sent: int) -> str:
    """Return where in the iterable of ``submit_many`` an error is."""
    return f"submit_many: at item {item} of the iterable; the first {sent} are registered"


def arguments(item: object) -> tuple[Any, ...]:
    """Return an item of ``submit_many`` as a tuple of arguments.

    Raises:
        SettingsError: it is none.
    """
    if not isinstance(item, (tuple, list)):
        raise SettingsError(
            f"expected an item of submit_many to be a tuple of arguments, got {shown(item)}: write (…,)"
        )
    return tuple(item)
