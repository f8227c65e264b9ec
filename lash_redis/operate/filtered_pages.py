"""A page of those rows alone that are meant: what has no index of its own is looked for among those of another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from lash_redis.core.checks import MAX_BATCH
from lash_redis.registry.calls.listing import ListedRows
from lash_redis.registry.calls.selecting import Which
from lash_redis.registry.rows import Row

ReadPage = Callable[[int, str | None], Awaitable[ListedRows]]
_MOST_READS: Final = 40  # for one page; it may then have fewer rows than were asked for, and a cursor


async def filtered(read: ReadPage, which: Which, limit: int, cursor: str | None) -> ListedRows:
    """Return a page of the rows of a queue or a task.

    Args:
        read: returns a page of at most so many rows, from a cursor on.
        which: which are meant, by queue and task.
        limit: how many rows at most.
        cursor: of the page before; None: the first page.
    """
    found: list[Row] = []
    room = MAX_BATCH
    for _ in range(_MOST_READS):
        page = await read(room, cursor)
        meant = [row for row in page.rows if which.takes(row, row.now_ms)]
        if len(meant) > limit - len(found):
            room = limit - len(found)  # a cursor stands at the end of a page: read again what fits
            continue
        found += meant
        cursor, room = page.cursor, MAX_BATCH
        if cursor is None or len(found) == limit:
            break
    return ListedRows(found, cursor)
