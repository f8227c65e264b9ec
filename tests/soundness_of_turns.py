"""Whether the lists of lanes that wait for the slots of a key are sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping


def bad_turns(waiting: Mapping[str, bytes], index: Callable[[str], dict[str, float]]) -> Iterator[str]:
    """Yield every lane that is waited for, before others take slots, although nothing in it needs any.

    Args:
        waiting: what stands under ``next:``, by scope and key.
        index: reads one index.
    """
    for name, text in waiting.items():
        scope, _, key = name.partition(" ")
        for lane in text.decode().split(" ")[2::2]:
            by_key, for_all = lane.split("|")[3].split(",")
            of_key = by_key == scope and index(f"k:{lane} {key}")
            of_all = for_all == scope and index(f"q:{lane}")
            if not (of_key or of_all):
                yield f"next:{name} has lane {lane}, in which nothing waits"
