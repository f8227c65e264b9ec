"""Many items, sent in batches of one partition each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from lash_redis.core.checks import MAX_BATCH, checked_int
from lash_redis.core.errors import SettingsError
from lash_redis.registry.calls.call import Call, Namespace, Steps

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batch(Generic[Item]):
    """Items of one partition, and their positions in the caller's list."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.items: list[Item] = []
        self.positions: list[int] = []


def batched(
    namespace: Namespace,
    items: Iterable[Item],
    id_of: Callable[[Item], str],
    call: Callable[[int, Sequence[Item]], Call[list[Answer]]],
    *,
    size: int = MAX_BATCH,
) -> Steps[list[Answer]]:
    """Yield one call for each batch, and return the answers in the items' order.

    Args:
        namespace: whose partitions.
        items: what is sent; may be empty.
        id_of: returns the process id of an item.
        call: makes the call for one batch of a partition; it answers once for each item.
        size: the most items of a batch.
    """
    answers: dict[int, Answer] = {}
    batches = _batches(namespace, items, id_of, size)
    for batch in batches:
        answered = yield from call(batch.partition, batch.items)
        answers.update(zip(batch.positions, answered, strict=True))
    return [answers[position] for position in range(sum(len(batch.items) for batch in batches))]


def _batches(namespace: Namespace, items: Iterable[Item], id_of: Callable[[Item], str], size: int) -> list[Batch[Item]]:
    unfilled: dict[int, Batch[Item]] = {}
    batches: list[Batch[Item]] = []
    for position, item in enumerate(items):
        partition = 0 if namespace.partitions == 1 else namespace.partition_of(id_of(item))
        batch = unfilled.get(partition)
        if batch is None or len(batch.items) == size:
            batch = unfilled[partition] = Batch(partition)
            batches.append(batch)
        batch.items.append(item)
        batch.positions.append(position)
    return batches


def checked_batch(what: str, names: Sequence[Hashable], at_most: int = MAX_BATCH) -> None:
    """Check a batch's length, and that it names nothing twice (rule 8.6): a script plans each write once.

    Raises:
        SettingsError: it is empty, too long, or names something twice.
    """
    checked_int(f"{what} in a batch", len(names), at_least=1, at_most=at_most)
    if len(set(names)) != len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise SettingsError(f"expected the {what} of a batch to be distinct, got {twice!r} twice")
