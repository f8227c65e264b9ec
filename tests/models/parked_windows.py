"""A model of one key that is parked until its window ends, under a clock that may be set to any time, in every order.

The key is looked at when its alarm rings, by the clock. The header keeps the latest time at which an alarm was set: if
the clock is before it, a claim looks at what is parked without its alarm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

WINDOW: Final = 2
TIMES: Final = range(6)


class Mechanism(NamedTuple):
    """Which parts of the sentence hold."""

    sees_that_the_clock_is_before_it: bool = True
    keeps_the_latest: bool = True
    a_window_before_it_has_ended: bool = True


class State(NamedTuple):
    """The clock, when the window opened, when the alarm of the parked key rings, and what the header keeps.

    The window is None if there was none, the alarm if the key is not parked.
    """

    clock: int = 0
    opened: int | None = None
    alarm: int | None = None
    set_at: int = 0


def is_open(of: Mechanism, state: State) -> bool:
    """Say whether the key's window has not ended."""
    if state.opened is None:
        return False
    is_before = state.clock < state.opened
    return state.clock < state.opened + WINDOW and not (is_before and of.a_window_before_it_has_ended)


def _parked(of: Mechanism, state: State) -> State:
    assert state.opened is not None
    set_at = max(state.set_at, state.clock) if of.keeps_the_latest else state.clock
    return state._replace(alarm=state.opened + WINDOW, set_at=set_at)


def claimed(of: Mechanism, state: State) -> State:
    """Return what a claim leaves: it brings what is due."""
    was_set_back = state.set_at > state.clock and of.sees_that_the_clock_is_before_it
    if was_set_back:
        state = state._replace(set_at=state.clock)
    if state.alarm is None or not (was_set_back or state.alarm <= state.clock):
        return state
    return _parked(of, state) if is_open(of, state) else state._replace(alarm=None)


def _following(of: Mechanism, state: State) -> Iterator[State]:
    yield from (state._replace(clock=clock) for clock in TIMES)
    # An alarm of another key is set.
    yield state._replace(set_at=max(state.set_at, state.clock) if of.keeps_the_latest else state.clock)
    if state.alarm is None:
        yield _parked(of, state if is_open(of, state) else state._replace(opened=state.clock))
    yield claimed(of, state)


def parked_too_long(of: Mechanism) -> list[State]:
    """Return the states in which a claim leaves the key parked, and it waits for longer than its window."""
    seen, todo = {State()}, [State()]
    while todo:
        for after in _following(of, todo.pop()):
            if after not in seen:
                seen.add(after)
                todo.append(after)
    left = [claimed(of, state) for state in seen]
    return [each for each in left if each.alarm is not None and each.alarm > each.clock + WINDOW]
