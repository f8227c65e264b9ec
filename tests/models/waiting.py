"""A model of work that waits for other work, whose every interleaving is tried: what each script writes, and not how.

A few processes wait for each other, or one continues a group of the others. Each action is one script, and each script
tells one dependent at most. A ``Mechanism`` says which sentences of the design hold: a test takes one away and sees
what breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tests.models.explored import Broken, explored

# Places of a row that has not ended; ``QUEUED`` stands for delayed too, and ``CANCELLED`` for expired.
NEW, BLOCKED, QUEUED, STARTED, UNCERTAIN = "-bqsu"
# Ends: an abandoned one without a resolution, and what may be forgotten.
ABANDONED, COMPLETED, FAILED, CANCELLED, HAPPENED, DID_NOT = "acfkhn"
# What is left of a forgotten row: its tombstone, or nothing. A tombstone does not keep a resolution, so that what
# happened counts for later ones as not completed.
TOMB_COMPLETED, TOMB_HAPPENED, TOMB_OTHER, GONE = "CHO."

FORGOTTEN: Final = frozenset({TOMB_COMPLETED, TOMB_HAPPENED, TOMB_OTHER, GONE})
ENDED: Final = frozenset({ABANDONED, COMPLETED, FAILED, CANCELLED, HAPPENED, DID_NOT}) | FORGOTTEN
DONE: Final = frozenset({COMPLETED, HAPPENED, TOMB_COMPLETED})
HELD_OPEN: Final = -1
MAX_TOLD: Final = 1
# Where the program stands that submits a group: before it, after its last batch, closed; or it was refused.
REFUSED: Final = 9


class Process(NamedTuple):
    """What never changes of a process: for which others it waits, by their numbers, and how."""

    after: tuple[int, ...] = ()
    needs: bool = True  # their completion; else it runs all the same
    owner_bound: bool = False
    chosen: bool = True  # its id, so that a tombstone outlives its row
    is_group: bool = False
    of: int | None = None  # the group of which it is a member


class State(NamedTuple):
    """Everything that the scripts have written, and where the program stands that submits the group.

    ``awaits`` has those for which each row still waits, ``reasons`` the first that did not complete, ``members`` who
    has joined the group, ``alarms`` the ended ones that have more to tell, and ``runs`` how often each has entered its
    lane, which no script reads.
    """

    places: tuple[str, ...]
    awaits: tuple[frozenset[int], ...]
    reasons: tuple[int | None, ...]
    members: frozenset[int]
    alarms: frozenset[int]
    runs: tuple[int, ...]
    submitted: int


@dataclass(frozen=True)
class Mechanism:
    """Which sentences hold (all of them, unless a test says otherwise)."""

    processes: tuple[Process, ...]
    another_program_joins: bool = False  # at any time, beside the one that submits the group
    known_is_looked_at_first: bool = True
    counts_what_has_ended: bool = True
    counts_tombstones: bool = True
    refuses_the_unknown: bool = True
    leaves_the_rest_to_an_alarm: bool = True
    keeps_what_has_more_to_tell: bool = True
    moves_only_what_still_waits: bool = True
    stops_waiting_when_it_ends: bool = True
    waits_for_all: bool = True
    cancels_what_needs_completion: bool = True
    abandoned_is_open_until_resolved: bool = True
    runs_all_the_same_at_once: bool = True
    a_resolution_tells: bool = True
    happened_counts_as_completed: bool = True
    uncertain_blocks: bool = True
    is_held_open: bool = True
    is_not_ended_while_open: bool = True
    nobody_joins_what_is_closed: bool = True
    remembers_members: bool = True
    members_wait_for_members_alone: bool = True
    a_cancelled_row_tells: bool = True

    def without(self, **switches: object) -> Mechanism:
        """Return this mechanism without something."""
        return replace(self, **switches)  # type: ignore[arg-type]

    @property
    def group(self) -> int | None:
        """The number of the process that continues a group."""
        return next((at for at, each in enumerate(self.processes) if each.is_group), None)


class Refused(Exception):
    """The script refuses, and nothing is written."""


@dataclass
class World:
    """One state while a script writes it."""

    of: Mechanism
    places: list[str]
    awaits: list[set[int]]
    reasons: list[int | None]
    members: set[int]
    alarms: set[int]
    runs: list[int]
    submitted: int
    told: int = 0
    untold: list[int] = field(default_factory=list)

    @classmethod
    def made(cls, of: Mechanism, state: State) -> World:
        """Return what a script may write over."""
        places, awaits, reasons, members, alarms, runs, submitted = state
        return cls(
            of, list(places), [set(each) for each in awaits], list(reasons), set(members), set(alarms), list(runs),
            submitted,
        )  # fmt: skip

    def frozen(self) -> State:
        """Return the state."""
        return State(
            tuple(self.places),
            tuple(frozenset(each) for each in self.awaits),
            tuple(self.reasons),
            frozenset(self.members),
            frozenset(self.alarms),
            tuple(self.runs),
            self.submitted,
        )

    # Scripts.

    def register(self, at: int) -> None:
        """Register a process, again if it is known."""
        process, is_known = self.of.processes[at], self.places[at] != NEW
        if process.of is not None and not self._joins(at, process.of):
            return
        if is_known and self.of.known_is_looked_at_first:
            return
        for other in process.after:
            self._check_awaited(process, other)
        if process.is_group and self.of.is_held_open:
            self.awaits[at].add(HELD_OPEN)
        self.awaits[at].update(process.after)
        waits = process.after or process.is_group
        if not is_known and waits:
            self.places[at] = BLOCKED
        elif not waits:
            self._enter_lane(at)
        if self.of.counts_what_has_ended:
            self.untold += [other for other in process.after if self.places[other] in ENDED]
        if process.is_group and not self.of.is_held_open:
            self._hear(at, None)
        self._tell()

    def _joins(self, at: int, group: int) -> bool:
        """Make a row that is registered a member; return whether it is to be registered."""
        if (at in self.members and self.of.remembers_members) or self.places[group] in FORGOTTEN:
            return False
        if self.places[group] == NEW or (
            self.of.nobody_joins_what_is_closed and HELD_OPEN not in self.awaits[group] and self.of.is_held_open
        ):
            raise Refused
        if self.places[group] != BLOCKED:
            raise Broken(f"row {at} joins a group that has moved")
        self.members.add(at)
        self.awaits[group].add(at)
        if self.places[at] in FORGOTTEN:
            self.places[at] = NEW
        return True

    def _check_awaited(self, process: Process, other: int) -> None:
        place, is_stranger = self.places[other], process.of is not None and self.of.processes[other].of != process.of
        if is_stranger and self.of.members_wait_for_members_alone:
            raise Refused
        is_known = place not in (NEW, GONE) and (self.of.counts_tombstones or place not in FORGOTTEN)
        if not is_known and self.of.refuses_the_unknown:
            if place in FORGOTTEN - {GONE}:
                raise Broken(f"what waits for {other} is refused, which is known to have ended")
            raise Refused

    def close(self, at: int) -> None:
        """Close the group."""
        if self.of.is_held_open:
            self.awaits[at].discard(HELD_OPEN)
            self._hear(at, None)
            self._tell()

    def end(self, at: int, place: str) -> None:
        """Write a terminal fact."""
        self._finish(at, place)
        self._tell()

    def resolve(self, at: int, place: str) -> None:
        """Say what became of an abandoned one."""
        self.places[at] = place
        if self.of.a_resolution_tells:
            self.untold.append(at)
        self._tell()

    def become_uncertain(self, at: int) -> None:
        """Lose the owner of what was started."""
        self.places[at] = UNCERTAIN
        if not self.of.uncertain_blocks:
            self.untold.append(at)
        self._tell()

    def alarm(self, at: int) -> None:
        """Tell more of those that wait for a process that has ended."""
        self.alarms.discard(at)
        if self.places[at] != GONE:
            self.untold.append(at)
        self._tell()

    def end_again(self, at: int) -> None:
        """Let a late copy of what told of an end arrive."""
        if self.of.moves_only_what_still_waits:
            self.untold.append(at)
        else:
            for other, process in enumerate(self.of.processes):
                if at in process.after and self.places[other] == BLOCKED:
                    self.awaits[other] = set(sorted(self.awaits[other])[1:])  # a counter would not know which
                    self._hear(other, None)
        self._tell()

    def forget(self, at: int) -> None:
        """Prune a row that has ended."""
        tombstones = {COMPLETED: TOMB_COMPLETED, HAPPENED: TOMB_HAPPENED}
        self.places[at] = tombstones.get(self.places[at], TOMB_OTHER) if self.of.processes[at].chosen else GONE

    def may_forget(self, at: int) -> bool:
        """Say whether a row may be pruned."""
        if self.places[at] in FORGOTTEN | {ABANDONED} or self.places[at] not in ENDED:
            return False
        if not self.of.keeps_what_has_more_to_tell:
            return True
        return not self._dependents(at) and not (self.of.processes[at].is_group and self.awaits[at])

    # Parts of them.

    def _dependents(self, at: int) -> list[int]:
        return [other for other, awaited in enumerate(self.awaits) if at in awaited]

    def _finish(self, at: int, place: str) -> None:
        if self.places[at] == BLOCKED and self.of.stops_waiting_when_it_ends:
            self.awaits[at] = {each for each in self.awaits[at] if self.of.processes[at].is_group and each != HELD_OPEN}
        was_blocked, self.places[at] = self.places[at] == BLOCKED, place
        if self.of.a_cancelled_row_tells or not was_blocked:
            self.untold.append(at)

    def _tell(self) -> None:
        """Tell those that wait for what has ended: so many in one script, and the rest by an alarm."""
        while self.untold:
            at = self.untold.pop(0)
            for other in self._to_tell(at):
                if self.told >= MAX_TOLD:
                    if self.of.leaves_the_rest_to_an_alarm:
                        self.alarms.add(at)
                    break
                self.told += 1
                self._hear(other, at)

    def _to_tell(self, at: int) -> list[int]:
        is_open = self.places[at] == ABANDONED and self.of.abandoned_is_open_until_resolved
        if is_open and not self.of.runs_all_the_same_at_once:
            return []
        return [each for each in self._dependents(at) if not (is_open and self.of.processes[each].needs)]

    def _hear(self, at: int, other: int | None) -> None:
        """Let a row hear of an end; it moves if that was the last for which it waits."""
        process, place = self.of.processes[at], "" if other is None else self.places[other]
        if other is not None:
            self.awaits[at].discard(other)
            counts = place in (DONE if self.of.happened_counts_as_completed else DONE - {HAPPENED})
            if process.needs and not counts and self.reasons[at] is None and self.of.cancels_what_needs_completion:
                self.reasons[at] = other
        if self.places[at] != BLOCKED:
            if self.of.stops_waiting_when_it_ends:
                return
            raise Broken(f"row {at} hears of {other}, and is not blocked")
        is_open = HELD_OPEN in self.awaits[at]
        if self.reasons[at] is not None and not (is_open and self.of.is_not_ended_while_open):
            self._check_cancelled(at)
            self._finish(at, CANCELLED)
        elif not self.awaits[at] or (not self.of.waits_for_all and not is_open):
            self._enter_lane(at)

    def _awaited(self, at: int) -> set[int]:
        process = self.of.processes[at]
        return {each for each, other in enumerate(self.of.processes) if other.of == at} | set(process.after)

    def _check_cancelled(self, at: int) -> None:
        reason = self.reasons[at]
        place = "" if reason is None else self.places[reason]
        if place in (ABANDONED, HAPPENED):
            raise Broken(f"row {at} is cancelled for {reason}, of which nobody knows that it did not happen")
        if self.of.processes[at].is_group and any(self.places[each] == NEW for each in self._awaited(at)):
            raise Broken(f"group {at} has ended before all of its members were added")

    def _enter_lane(self, at: int) -> None:
        needs = self.of.processes[at].needs
        self.places[at] = QUEUED
        self.runs[at] += 1
        if self.runs[at] > 1:
            raise Broken(f"row {at} has moved twice")
        for other in self._awaited(at):
            if self.places[other] not in ENDED:
                raise Broken(f"row {at} has moved, and {other} has not ended")
            if needs and self.places[other] not in DONE | {TOMB_HAPPENED}:
                raise Broken(f"row {at} needs the completion of {other}, and has moved")


def first_state(of: Mechanism) -> State:
    """Return the state in which nothing is registered."""
    number = len(of.processes)
    return State((NEW,) * number, (frozenset(),) * number, (None,) * number, frozenset(), frozenset(), (0,) * number, 0)


def following(of: Mechanism, state: State) -> Iterator[tuple[str, State]]:
    """Yield each script that may run now, and what it makes of the state."""
    for name, script in _scripts(of, state):
        world = World.made(of, state)
        try:
            script(world)
        except Refused:
            if name != "submit":
                continue
            world = World.made(of, state)
            world.submitted = REFUSED
            if of.group is not None and state.places[of.group] not in ENDED and not _is_circle(of):
                raise Broken("a member is refused, and the group has not ended") from None
        yield name, world.frozen()


def _is_circle(of: Mechanism) -> bool:
    """Say whether a member would wait for what waits for it."""
    return any(each.of in each.after for each in of.processes if each.of is not None)


def _scripts(of: Mechanism, state: State) -> Iterator[tuple[str, Callable[[World], None]]]:
    for at, process in enumerate(of.processes):
        place = state.places[at]
        is_anybodys = process.of is None or of.another_program_joins
        if is_anybodys and not process.is_group and place != GONE:
            yield f"register {at}", lambda world, at=at: world.register(at)  # type: ignore[misc]
        for name, script in _moves(process, place):
            yield f"{name} {at}", lambda world, at=at, script=script: script(world, at)  # type: ignore[misc]
        if at in state.alarms:
            yield f"alarm {at}", lambda world, at=at: world.alarm(at)  # type: ignore[misc]
        if World.made(of, state).may_forget(at):
            yield f"forget {at}", lambda world, at=at: world.forget(at)  # type: ignore[misc]
    if of.group is not None:
        yield from _submits(of, of.group, state)


Move = Callable[[World, int], None]


def _moves(process: Process, place: str) -> Iterator[tuple[str, Move]]:
    match place:
        case _ if place in (BLOCKED, QUEUED):
            yield "cancel", lambda world, at: world.end(at, CANCELLED)
            if place == QUEUED:
                yield "start", lambda world, at: world.places.__setitem__(at, STARTED)
        case _ if place in (STARTED, UNCERTAIN):
            yield "complete", lambda world, at: world.end(at, COMPLETED)
            yield "fail", lambda world, at: world.end(at, FAILED)
            if process.owner_bound:
                yield "abandon", lambda world, at: world.end(at, ABANDONED)
                yield "lose", lambda world, at: world.become_uncertain(at)
        case _ if place == ABANDONED:
            yield "happened", lambda world, at: world.resolve(at, HAPPENED)
            yield "did not happen", lambda world, at: world.resolve(at, DID_NOT)
        case _ if place in (COMPLETED, FAILED, CANCELLED):
            yield "late copy", lambda world, at: world.end_again(at)


def _submits(of: Mechanism, group: int, state: State) -> Iterator[tuple[str, Callable[[World], None]]]:
    """Yield the next step of the program that submits the group, which may be killed before each, and begin anew."""
    members = [at for at, each in enumerate(of.processes) if each.of == group]
    step = state.submitted
    if step == 0:
        yield "submit", lambda world: (world.register(group), setattr(world, "submitted", 1))[0]  # type: ignore[func-returns-value]
    elif 0 < step <= len(members):
        yield "submit", lambda world: (world.register(members[step - 1]), setattr(world, "submitted", step + 1))[0]  # type: ignore[func-returns-value]
    elif step == len(members) + 1:
        yield "submit", lambda world: (world.close(group), setattr(world, "submitted", step + 1))[0]  # type: ignore[func-returns-value]
    if 0 < step < REFUSED:
        yield "killed", lambda world: setattr(world, "submitted", 0)


def _check(of: Mechanism, state: State) -> None:
    for at, process in enumerate(of.processes):
        awaited, place = state.awaits[at], state.places[at]
        if place != BLOCKED and awaited and not process.is_group:
            raise Broken(f"row {at} waits for {set(awaited)}, and is not blocked")
        if place != BLOCKED:
            continue
        not_yet = (HELD_OPEN in awaited) or any(
            state.places[each] not in ENDED
            or each in state.alarms
            or (state.places[each] == ABANDONED and process.needs)
            for each in awaited - {HELD_OPEN}
        )
        if not not_yet:
            raise Broken(f"row {at} is left behind")


def explore(of: Mechanism) -> int:
    """Try every interleaving; return how many states there are.

    Raises:
        Broken: something happened that must not happen, or from some state not all that is registered can end.
    """
    return explored(
        first_state(of),
        lambda state: following(of, state),
        check=lambda state: _check(of, state),
        is_over=lambda state: _is_over(of, state),
        is_way_out=lambda script: not script.startswith("cancel"),  # that an operator helps is none
    )


def _is_over(of: Mechanism, state: State) -> bool:
    """Say whether all that is registered has ended, and has told so; a group was submitted whole."""
    if state.submitted == REFUSED:
        return True
    is_submitted = of.group is None or state.submitted > sum(each.of is not None for each in of.processes) + 1
    return is_submitted and not state.alarms and all(place in ENDED | {NEW} for place in state.places)
