"""The same call in every partition of a namespace, and how far it came if one does not answer. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lash_redis.core.errors import RegistryUnavailable, SettingsError
from lash_redis.registry.calls.call import Call, Namespace, Steps

T = TypeVar("T")


def in_each_partition(namespace: Namespace, call_in: Callable[[int], Call[T]]) -> Steps[list[T]]:
    """Make the same call in each partition; return the answers.

    Raises:
        RegistryUnavailable: a partition did not answer. If earlier ones did, the message says how many.
        SettingsError: a partition refused it, likewise.
    """
    answers: list[T] = []
    for partition in range(namespace.partitions):
        try:
            answers.append((yield from call_in(partition)))
        except (RegistryUnavailable, SettingsError) as error:
            if not answers:
                raise
            how_far = f"{error.args[0]}; it is done in {len(answers)} of {namespace.partitions} partitions: ask again"
            if isinstance(error, SettingsError):
                raise SettingsError(how_far) from error
            raise RegistryUnavailable(error.operation, how_far, maybe_applied=True) from error
    return answers
