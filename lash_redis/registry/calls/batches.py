"""Many items, sent in batches of one partition each, bounded in rows and in bytes (rule 8.6). Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from lash_redis.core.checks import MAX_BATCH, MAX_BATCH_BYTES, checked_int
from lash_redis.core.error_text import shown
from lash_redis.core.errors import ScriptError, SettingsError
from lash_redis.registry.calls.call import Call, Namespace, Steps

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batch(Generic[Item]):
    """Items of one partition, and their positions in the caller's list."""

    def __init__(self, partition: int, items: Sequence[Item] = ()) -> None:
        self.partition = partition
        self.items = list(items)
        self.positions = list(range(len(items)))
        self.bytes = 0
        self.names: set[str] = set()

    def takes(self, size: int, at_most: int) -> bool:
        """Say whether an item of so many bytes still fits; the first one always does."""
        return not self.items or (len(self.items) < at_most and self.bytes + size <= MAX_BATCH_BYTES)


def batched(
    namespace: Namespace,
    items: Iterable[Item],
    id_of: Callable[[Item], str],
    call: Callable[[int, Sequence[Item]], Call[list[Answer]] | Steps[list[Answer]]],
    *,
    size: int = MAX_BATCH,
    bytes_of: Callable[[Item], int] | None = None,
    apart_by: Callable[[Item], str] | None = None,
) -> Steps[list[Answer]]:
    """Yield the calls of each batch, and return the answers in the items' order.

    A script whose reply would be too long answers for the first items of its batch: the others are sent again.

    Args:
        namespace: whose partitions.
        items: what is sent; may be empty.
        id_of: returns the process id of an item.
        call: makes the call for one batch of a partition; it answers once for each item, or for the first ones.
        size: the most items of a batch.
        bytes_of: returns how long an item's payload is; None: there is none. A batch has 1 MiB at most; one longer item
            goes alone.
        apart_by: returns a name of an item that no other item of its batch has; empty: it may stand beside any, as all
            may without this.

    Raises:
        ScriptError: a script answered for no item.
    """
    answers: dict[int, Answer] = {}
    batches = _batches(namespace, list(items), id_of, size=size, bytes_of=bytes_of, apart_by=apart_by)
    for batch in batches:
        done = 0
        while done < len(batch.items):
            answered = yield from call(batch.partition, batch.items[done:] if done else batch.items)
            if not answered:
                raise ScriptError("expected an answer for each item of a batch, or for the first ones, got none")
            if len(batches) == 1 and len(answered) == len(batch.items):
                return answered  # as most answers are: whole, and in order
            answers.update(zip(batch.positions[done:], answered, strict=False))
            done += len(answered)
    return [answers[position] for position in range(sum(len(batch.items) for batch in batches))]


def _batches(
    namespace: Namespace,
    items: Sequence[Item],
    id_of: Callable[[Item], str],
    *,
    size: int,
    bytes_of: Callable[[Item], int] | None,
    apart_by: Callable[[Item], str] | None,
) -> list[Batch[Item]]:
    if namespace.partitions == 1 and apart_by is None and len(items) <= size:
        length = sum(map(bytes_of, items)) if bytes_of is not None else 0
        if length <= MAX_BATCH_BYTES:  # as nearly all are
            return [Batch(0, items)] if items else []
    unfilled: dict[int, Batch[Item]] = {}
    batches: list[Batch[Item]] = []
    for position, item in enumerate(items):
        partition = 0 if namespace.partitions == 1 else namespace.partition_of(id_of(item))
        batch = unfilled.get(partition)
        length = bytes_of(item) if bytes_of is not None else 0
        name = apart_by(item) if apart_by is not None else ""
        if batch is None or not batch.takes(length, size) or name in batch.names:
            batch = unfilled[partition] = Batch(partition)
            batches.append(batch)
        batch.items.append(item)
        batch.positions.append(position)
        batch.bytes += length
        if name:
            batch.names.add(name)
    return batches


def checked_batch(what: str, names: Sequence[Hashable], at_most: int = MAX_BATCH) -> None:
    """Check a batch's length, and that it names nothing twice (rule 8.6): a script plans each write once.

    Raises:
        SettingsError: it is empty, too long, or names something twice.
    """
    checked_int(f"{what} in a batch", len(names), at_least=1, at_most=at_most)
    if len(set(names)) != len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise SettingsError(f"expected the {what} of a batch to be distinct, got {shown(twice)} twice")
