"""Reading rows: by their ids, and a page of an index. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lash_redis.core.checks import MAX_BATCH, checked_id
from lash_redis.core.model import ProcessLease, ProcessRecord
from lash_redis.registry.answers import PageStart, RowPage
from lash_redis.registry.calls.batches import batched
from lash_redis.registry.calls.call import Call, Namespace, Steps
from lash_redis.registry.rows import Row
from lash_redis.registry.unreadable import readable


def get(namespace: Namespace, process_id: str) -> Steps[ProcessRecord | None]:
    """Return the record, or None if there is none."""
    found = yield from row(namespace, process_id)
    return found.record() if found is not None else None


def lease(namespace: Namespace, process_id: str) -> Steps[ProcessLease | None]:
    """Return the live lease; None once lapsed, given back or terminal."""
    found = yield from row(namespace, process_id)
    return found.lease() if found is not None and found.is_live else None


def row(namespace: Namespace, process_id: str) -> Steps[Row | None]:
    """Return the whole row, with the facts that a verdict needs; None if there is none.

    Raises:
        UnreadableRow: a newer release wrote it, or it is damaged.
    """
    (found,) = yield from rows(namespace, [process_id])
    if found is not None:
        found.check()
    return found


def rows(namespace: Namespace, process_ids: Sequence[str]) -> Steps[list[Row | None]]:
    """Return whole rows, in the order of the ids. Some may be unreadable: ``Row.check`` and ``Row.record`` say so."""
    return batched(namespace, process_ids, str, _get)


def watch(namespace: Namespace, process_ids: Sequence[str], name: str) -> Steps[list[Row | None]]:
    """Return whole rows, and ask for a message on channel ``name`` when an unfinished one ends."""
    return batched(namespace, process_ids, str, lambda partition, ids: _watch(partition, ids, name))


def page(
    _: Namespace,
    partition: int,
    index: str,
    start: PageStart | None = None,
    *,
    upto: str = "+inf",
    limit: int = MAX_BATCH,
) -> Call[RowPage]:
    """Return one page of rows by an index.

    ``keys`` names the indexes: ``LEASES``, ``ASKED``, ``owned_index`` and, with the places, ``INDEXES``.
    ``upto`` is the highest score; ``now`` is the server's time. Rows that cannot be read are told of, and left out.
    """

    def decode(reply: list[Any]) -> RowPage:
        following = PageStart(reply[1].decode(), int(reply[2])) if reply[1] else None
        rows, unreadable = [], []
        for found in reply[3:]:
            process_id = found[0].decode()
            row = readable("row", process_id, lambda found=found: _checked(found))  # type: ignore[misc]
            if row is None:
                unreadable.append(process_id)
            else:
                rows.append(row)
        return RowPage(rows, following, unreadable)

    first = start or PageStart()
    return Call("page", partition, [index, first.score, first.skip, upto, limit], decode)


def _checked(reply: list[Any]) -> Row:
    row = Row(reply)
    row.check()
    return row


def _get(partition: int, process_ids: Sequence[str]) -> Call[list[Row | None]]:
    return Call("get", partition, [checked_id("process id", each) for each in process_ids], _rows_in)


def _watch(partition: int, process_ids: Sequence[str], name: str) -> Call[list[Row | None]]:
    ids = [checked_id("process id", each) for each in process_ids]
    return Call("watch", partition, [checked_id("name", name), *ids], _rows_in)


def _rows_in(reply: list[Any]) -> list[Row | None]:
    return [Row(found) if found else None for found in reply[1:]]
