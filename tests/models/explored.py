"""Every interleaving of a small mechanism: each state that its scripts reach is checked, and has a way out."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


class Broken(Exception):
    """Something happened that must never happen; the path says how."""


def explored(
    first: S,
    following: Callable[[S], Iterable[tuple[str, S]]],
    *,
    check: Callable[[S], None],
    is_over: Callable[[S], bool],
    is_way_out: Callable[[str], bool] = lambda _: True,
) -> int:
    """Try every interleaving; return how many states there are.

    Args:
        first: the state that all begins with.
        following: returns the scripts that may run in a state, each with the state after it.
        check: raises ``Broken`` of a state that must not be.
        is_over: whether all has ended in a state.
        is_way_out: whether a script counts where it is asked if all can still end.

    Raises:
        Broken: something happened that must not happen, or from some state all cannot end any more.
    """
    cause: dict[S, tuple[S, str] | None] = {first: None}
    preceding: dict[S, list[S]] = defaultdict(list)
    todo = deque([first])
    while todo:
        state = todo.popleft()
        try:
            check(state)
            for script, after in following(state):
                if is_way_out(script):
                    preceding[after].append(state)
                if after not in cause:
                    cause[after] = (state, script)
                    todo.append(after)
        except Broken as broken:
            raise Broken(f"{broken}, after {_path(cause, state)}") from None
    good = {state for state in cause if is_over(state)}
    todo = deque(good)
    while todo:
        for before in preceding[todo.popleft()]:
            if before not in good:
                good.add(before)
                todo.append(before)
    for state in cause:
        if state not in good:
            raise Broken(f"stuck after {_path(cause, state)}")
    return len(cause)


def _path(cause: dict[S, tuple[S, str] | None], state: S) -> str:
    scripts = []
    at = cause[state]
    while at is not None:
        state, script = at
        scripts.append(script)
        at = cause[state]
    return ", ".join(reversed(scripts)) or "nothing"
