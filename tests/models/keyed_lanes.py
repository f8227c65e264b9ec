"""A model of keyed lanes, whose every interleaving is tried: what each script writes, and nothing of how it does so.

A few rows of two keys stand in two lanes that share a policy: a limit for each key, or a sequence. Each action is one
script. A ``Mechanism`` says which sentences of the design hold: a test takes one away and sees what breaks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tests.models.explored import Broken, explored

LANES: Final = ("A", "B")
KEYS: Final = ("x", "y")

# The scripts that change a key's head, its slots or its policy.
SCRIPTS: Final = (
    "register", "due", "claim", "end", "release", "retry", "cancel", "lose", "abandon", "resolve", "policy",
)  # fmt: skip

# Places of a row. One that is back with its starter after it was uncertain (BACK) never goes to a lane again.
NEW, DELAYED, QUEUED, STARTED, UNCERTAIN, BACK, ABANDONED, ENDED = "-dqlubaz"


class Row(NamedTuple):
    """What never changes of a row; the handler of a sequence is the only one that resolves what was abandoned in it."""

    lane: str
    key: str
    cost: int = 1
    partition: int = 0
    is_handler: bool = False


class State(NamedTuple):
    """Everything that the scripts have written.

    ``rows`` has each row's place, its number (0 before it first enters a lane) and its first number, which no script
    reads; ``turns`` the rotation of each lane;
    ``slots`` who holds slots of each key, and ``everywhere`` of the limit without a key; ``sequences`` who stands in
    the sequence of each key; ``alarm`` the keys that a changed policy has still to be looked at for.
    """

    rows: tuple[tuple[str, int, int], ...]
    turns: tuple[tuple[str, ...], ...]
    slots: tuple[tuple[int, ...], ...]
    everywhere: tuple[int, ...]
    sequences: tuple[tuple[int, ...], ...]
    limit: int
    alarm: tuple[str, ...]


@dataclass(frozen=True)
class Mechanism:
    """Which sentences hold (all of them, unless a test says otherwise), and which policy the lanes have."""

    rows: tuple[Row, ...]
    limits: tuple[int, ...] = ()  # a policy may change from one of them to another; none: it has no limit
    limit_of_all: int = 0  # the limit without a key; 0: there is none
    sequence: str = ""  # halt or continue; empty: it is none
    partitions: int = 1
    looks: frozenset[str] = frozenset(SCRIPTS)
    looks_in_every_lane: bool = True
    one_sequence_across_lanes: bool = True
    stays_in_sequence: bool = True
    keeps_its_number: bool = True
    halts_until_resolved: bool = True
    both_limits_or_neither: bool = True
    takes_slots_without_a_lease: bool = True
    reads_the_stored_policy: bool = True
    plans_over_its_writes: bool = True

    def without(self, **switches: object) -> Mechanism:
        """Return this mechanism without something."""
        return replace(self, **switches)  # type: ignore[arg-type]


@dataclass
class World:
    """One state while a script writes it."""

    of: Mechanism
    rows: list[tuple[str, int, int]]
    turns: dict[str, list[str]]
    slots: dict[str, set[int]]
    everywhere: set[int]
    sequences: dict[str, set[int]]
    limit: int
    alarm: list[str]
    touched: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def made(cls, of: Mechanism, state: State) -> World:
        """Return what a script may write over."""
        return cls(
            of, list(state.rows), dict(zip(LANES, map(list, state.turns), strict=True)),
            dict(zip(KEYS, map(set, state.slots), strict=True)), set(state.everywhere),
            dict(zip(_sequence_names(of), map(set, state.sequences), strict=True)), state.limit, list(state.alarm),
        )  # fmt: skip

    def frozen(self) -> State:
        """Return the state; numbers say only which row of a key is before which."""
        for key in KEYS:
            mine = [at for at, row in enumerate(self.of.rows) if row.key == key]
            for at in mine:
                if self.rows[at][0] == ENDED:
                    self.rows[at] = (ENDED, 0, 0)
            numbers, firsts = (sorted({self.rows[at][field] for at in mine} | {0}) for field in (1, 2))
            for at in mine:
                place, number, first = self.rows[at]
                self.rows[at] = (place, numbers.index(number), firsts.index(first))
        return State(
            tuple(self.rows),
            tuple(tuple(turn) for turn in self.turns.values()),
            tuple(tuple(sorted(held)) for held in self.slots.values()),
            tuple(sorted(self.everywhere)),
            tuple(tuple(sorted(members)) for members in self.sequences.values()),
            self.limit,
            tuple(self.alarm),
        )

    # What is read.

    def queued(self, lane: str, key: str) -> list[int]:
        """Return the queued rows of one key in a lane, in their order."""
        found = [
            at
            for at, row in enumerate(self.of.rows)
            if (row.lane, row.key) == (lane, key) and self.rows[at][0] == QUEUED
        ]
        return sorted(found, key=lambda at: self.rows[at][1])

    def taken(self, key: str) -> int:
        """Return how many slots of a key are taken."""
        return sum(self.of.rows[at].cost for at in self.slots[key])

    def sequence_of(self, at: int) -> str:
        """Return the name of the set that keeps a row's order."""
        row = self.of.rows[at]
        return _sequence_name(self.of, row.lane, row.key, row.partition)

    def head(self, at: int) -> int | None:
        """Return the first row of the sequence that a row belongs to."""
        members = self.sequences[self.sequence_of(at)]
        return min(members, key=lambda each: self.rows[each][1], default=None)

    def may_run(self, lane: str, key: str) -> bool:
        """Say whether a claim may hand out a row of this key now, as the limit without a key does not forbid it."""
        waiting = self.queued(lane, key)
        if not waiting:
            return False
        if self.of.sequence and self.of.partitions > 1:
            return any(self.head(at) == at for at in waiting)
        if self.of.sequence:
            return self.head(waiting[0]) == waiting[0]
        return self.taken(key) + self.of.rows[waiting[0]].cost <= self.limit

    # What is written.

    def touch(self, at: int) -> None:
        """Something changed that decides whether the row's key may run, in every lane that shares it."""
        row = self.of.rows[at]
        self.touched |= {(lane, row.key) for lane in (LANES if self.of.looks_in_every_lane else (row.lane,))}

    def look(self) -> None:
        """Write rotation and park: nothing else does."""
        for lane, key in sorted(self.touched):
            self.look_at(lane, key)

    def look_at(self, lane: str, key: str) -> None:
        """Put a key into the rotation, or park it."""
        turn = self.turns[lane]
        if self.may_run(lane, key):
            if key not in turn:
                turn.append(key)
        elif key in turn:
            turn.remove(key)

    def move(self, at: int, place: str) -> None:
        """Put a row into a place, with all that follows from it."""
        _, number, first = self.rows[at]
        row, members = self.of.rows[at], self.sequences[self.sequence_of(at)]
        if place == QUEUED and (not number or not self.of.keeps_its_number):
            number = 1 + max(other for _, *others in self.rows for other in others)
        self.rows[at] = (place, number, first or number)
        if place in (STARTED, BACK) or (place == UNCERTAIN and self.of.takes_slots_without_a_lease):
            self.slots[row.key].add(at)
            self.everywhere.add(at)
        elif place != UNCERTAIN:
            self.slots[row.key].discard(at)
            self.everywhere.discard(at)
        if self._stands_in_sequence(place, number):
            members.add(at)
        else:
            members.discard(at)
        self.touch(at)

    def _stands_in_sequence(self, place: str, number: int) -> bool:
        if place in (UNCERTAIN, BACK, ABANDONED) and self.of.sequence == "continue":
            return False
        if place == ABANDONED:
            return self.of.halts_until_resolved
        if place == DELAYED:
            return number > 0 and self.of.stays_in_sequence
        return place in (QUEUED, STARTED, UNCERTAIN, BACK)

    def start(self, at: int) -> None:
        """Hand a row out, after it was decided that it may run."""
        row = self.of.rows[at]
        if self.of.limits and self.taken(row.key) + row.cost > self.limit:
            raise Broken(f"row {at} was started above the limit")
        if self.of.limit_of_all and len(self.everywhere) + 1 > self.of.limit_of_all:
            raise Broken(f"row {at} was started above the limit that all share")
        if self.of.sequence:
            self._starts_in_order(at)
        turn = self.turns[row.lane]
        turn.remove(row.key)
        turn.append(row.key)
        self.move(at, STARTED)

    def _starts_in_order(self, at: int) -> None:
        halts = self.of.sequence == "halt"
        for other, (place, _, first) in enumerate(self.rows):
            if other == at or self.of.rows[other].key != self.of.rows[at].key:
                continue
            if place == STARTED or (halts and place in (UNCERTAIN, BACK)):
                raise Broken(f"row {at} was started beside row {other}")
            if 0 < first < self.rows[at][2] and (place in (QUEUED, DELAYED) or (halts and place == ABANDONED)):
                raise Broken(f"row {at} was started before row {other}")


def _sequence_name(of: Mechanism, lane: str, key: str, partition: int) -> str:
    return f"{partition}{'' if of.one_sequence_across_lanes else lane}{key}"


@functools.cache
def _sequence_names(of: Mechanism) -> list[str]:
    names = [
        _sequence_name(of, lane, key, partition) for partition in range(of.partitions) for lane in LANES for key in KEYS
    ]
    return list(dict.fromkeys(names))


def first_state(of: Mechanism) -> State:
    """Return the state in which nothing is registered."""
    nobody: tuple[int, ...] = ()
    limit = of.limits[0] if of.limits else 0
    names = _sequence_names(of)
    return State(((NEW, 0, 0),) * len(of.rows), ((),) * 2, (nobody,) * 2, nobody, (nobody,) * len(names), limit, ())


def _claim(world: World, lane: str, most: int) -> bool:
    """Take the key that is next, one row of it, and put the key back at the end: so often in one script."""
    limit = world.limit if world.of.reads_the_stored_policy else max(world.of.limits)
    before = World.made(world.of, world.frozen())
    started = 0
    for _ in range(most):
        known = world if world.of.plans_over_its_writes else before
        if not world.turns[lane]:
            break
        key = world.turns[lane][0]
        waiting = world.queued(lane, key)
        if not waiting:
            break
        at = waiting[0]
        if world.of.sequence and world.of.partitions > 1:
            at = next((each for each in waiting if world.head(each) == each), at)
        if world.of.limits and known.taken(key) + world.of.rows[at].cost > limit:
            break
        if world.of.limit_of_all and len(known.everywhere) >= world.of.limit_of_all:
            if not world.of.both_limits_or_neither:
                world.slots[key].add(at)
            break  # the lane is shut, and its next key keeps its turn
        world.start(at)
        started += 1
        if "claim" in world.of.looks and world.of.plans_over_its_writes:
            world.look()
    return started > 0 or not world.of.both_limits_or_neither


def _steps(world: World, at: int) -> Iterator[tuple[str, str]]:
    """Yield what may happen to one row: the script, and the place to which the row goes."""
    place, row = world.rows[at][0], world.of.rows[at]
    match place:
        case _ if place == NEW:
            yield from (("register", QUEUED), ("register", DELAYED))
        case _ if place == DELAYED:
            yield "due", QUEUED
        case _ if place == QUEUED:
            if not row.is_handler:
                yield "cancel", ENDED
            if not world.of.sequence:
                yield "lose", UNCERTAIN  # a start that is recorded without a lease
        case _ if place == STARTED:
            yield from (("end", ENDED), ("release", QUEUED), ("retry", DELAYED))
            if not row.is_handler:
                yield from (("lose", UNCERTAIN), ("abandon", ABANDONED))
        case _ if place == UNCERTAIN:
            yield from (("back", BACK), ("abandon", ABANDONED))
        case _ if place == BACK:
            yield from (("end", ENDED), ("lose", UNCERTAIN), ("abandon", ABANDONED))
        case _ if place == ABANDONED:
            handlers = [other for other, each in enumerate(world.of.rows) if each.is_handler and each.key == row.key]
            if not handlers or any(world.rows[other][0] == ENDED for other in handlers):
                yield "resolve", ENDED


def following(of: Mechanism, state: State) -> Iterator[tuple[str, State]]:
    """Yield each script that may run now, and what it makes of the state."""
    yield from _moves(of, state)
    yield from _claims(of, state)
    yield from _policies(of, state)


def _moves(of: Mechanism, state: State) -> Iterator[tuple[str, State]]:
    still = World.made(of, state)
    for at in range(len(of.rows)):
        for script, place in _steps(still, at):
            world = World.made(of, state)
            world.move(at, place)
            if script in of.looks:
                world.look()
            yield f"{script} {at}", world.frozen()


def _claims(of: Mechanism, state: State) -> Iterator[tuple[str, State]]:
    for lane, turn in zip(LANES, state.turns, strict=True):
        for most in (1, 2) if turn else ():
            world = World.made(of, state)
            if _claim(world, lane, most):
                if "claim" in of.looks:
                    world.look()
                yield f"claim {most} of {lane}", world.frozen()


def _policies(of: Mechanism, state: State) -> Iterator[tuple[str, State]]:
    for limit in of.limits:
        if limit != state.limit and not state.alarm:
            alarm = KEYS if "policy" in of.looks else ()
            yield f"policy {limit}", state._replace(limit=limit, alarm=alarm)
    if state.alarm:
        world = World.made(of, state)
        key = world.alarm.pop(0)
        for lane in LANES:
            world.look_at(lane, key)
        yield f"alarm {key}", world.frozen()


def _check(of: Mechanism, state: State) -> None:
    """Compare the sets with the rows."""
    world = World.made(of, state)
    for key in KEYS:
        holders = {
            at
            for at, (place, *_) in enumerate(state.rows)
            if of.rows[at].key == key and place in (STARTED, UNCERTAIN, BACK)
        }
        if world.slots[key] != holders:
            raise Broken(f"slots of {key}: {world.slots[key]}, and the rows say {holders}")
        for lane in LANES:
            may, is_in = world.may_run(lane, key), key in world.turns[lane]
            if may != is_in and key not in state.alarm:
                raise Broken(f"{key} {'may run in' if may else 'is in the rotation of'} {lane}, and is not its turn")


def explore(of: Mechanism) -> int:
    """Try every interleaving; return how many states there are.

    Raises:
        Broken: something happened that must not happen, or from some state the rows cannot all end any more.
    """
    return explored(
        first_state(of),
        lambda state: following(of, state),
        check=lambda state: _check(of, state),
        is_over=lambda state: all(place == ENDED for place, *_ in state.rows),
    )
