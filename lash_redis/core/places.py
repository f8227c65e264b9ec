"""The places where a row can stand, and the moves between them: one table for Python, Lua, tests and the diagram.

A row that is not terminal stands in exactly one place, and only a transition moves it (rule 8.7). People see the place
as a *phase*: a leased row is *held*, or *started* once user code has begun under its lease.

``tests/lua/test_places.py`` checks the Lua and the diagram of ``docs/states.md`` against this table.
``tests/conformance/test_places.py`` tries every transition on rows in every situation and checks the moves.
"""

from __future__ import annotations

from typing import Final

import msgspec

from lash_redis.core.model import Phase, ProcessStatus, RecoveryDisposition


class Place(msgspec.Struct, frozen=True):
    """Where a row can stand.

    Attributes:
        name: the place's name; in capitals it is the constant in Lua.
        code: the value of the row's field ``ph``.
        index: the index that lists the place's rows. One that ends in a colon exists for each lane: the lane follows.
        phases: the phase of its rows; if there are two, the first is of rows under whose lease no code has begun yet.
        unbegun_index: if there are two phases: the index of the rows in the first one.
    """

    name: str
    code: str
    index: str
    phases: tuple[Phase, ...]
    unbegun_index: str | None = None

    @property
    def per_lane(self) -> bool:
        """Each lane has an index of its own."""
        return self.index.endswith(":")

    def phase(self, *, begun: bool) -> Phase:
        """Return the phase of a row; ``begun`` says whether code has begun under its lease."""
        return self.phases[-1] if begun else self.phases[0]


QUEUED: Final = Place("queued", "q", "q:", (Phase.QUEUED,))
DELAYED: Final = Place("delayed", "d", "delayed", (Phase.DELAYED,))
BLOCKED: Final = Place("blocked", "b", "blocked", (Phase.BLOCKED,))
LEASED: Final = Place("leased", "l", "leases", (Phase.HELD, Phase.STARTED), "held")
UNCERTAIN: Final = Place("uncertain", "u", "uncertain", (Phase.UNCERTAIN,))
OUTSIDE: Final = Place("outside", "x", "outside", (Phase.OUTSIDE,))

PLACES: Final = (QUEUED, DELAYED, BLOCKED, LEASED, UNCERTAIN, OUTSIDE)  # in the order of ``list_non_terminal``
PLACE_OF_CODE: Final = {place.code.encode(): place for place in PLACES}
PLACE_OF_PHASE: Final = {phase: place for place in PLACES for phase in place.phases}

INDEXES: Final = tuple(index for place in PLACES for index in (place.index, place.unbegun_index) if index)
# Those that are one for each partition, in the order in which the script ``counts`` answers their sizes.
PARTITION_INDEXES: Final = tuple(index for index in INDEXES if not index.endswith(":"))

# The order of ``ps``: what needs somebody's decision comes first, what only waits for a worker comes last.
BY_URGENCY: Final = (
    Phase.UNCERTAIN,
    Phase.STARTED,
    Phase.HELD,
    Phase.OUTSIDE,
    Phase.QUEUED,
    Phase.BLOCKED,
    Phase.DELAYED,
)


class Move(msgspec.Struct, frozen=True):
    """One edge of the state diagram, and what takes a row along it.

    Attributes:
        source: the phase that the row leaves; None: it is registered.
        target: the phase that it enters, or its terminal status.
        dispositions: of which work.
        by: the scripts that do it. A settle does what the verdict says, and nothing else.
    """

    source: Phase | None
    target: Phase | ProcessStatus
    dispositions: tuple[RecoveryDisposition, ...]
    by: tuple[str, ...]


_RERUNNABLE = (RecoveryDisposition.RERUNNABLE,)
_BOUND = (RecoveryDisposition.OWNER_BOUND,)
_POOL = (*_RERUNNABLE, *_BOUND)  # what the pool runs
_CANCELS = ("request_cancel", "cancel_many")
_EXPIRES = ("bring_due", "claim_next", "turn", "settle")  # what finds that it has expired
_EXTERNAL = (RecoveryDisposition.EXTERNALLY_OWNED,)

# What ends a process tells those that wait for it, which moves them. A cancel request ends a blocked row itself too.
TELLING: Final = (
    "terminalize",
    "turn",
    "settle",
    "complete_unleased",
    "request_cancel",
    "cancel_many",
    "release",
    "unstart",
    "bring_due",
    "claim_next",
    "retry",
    "resolve",
    "accept",
)

# Owner-bound work whose start was recorded without a lease can be *held* but never becomes *started*: no lease has the
# token of its start. Where held work has a move that only owner-bound work makes, it is such work.
MOVES: Final = (
    Move(None, Phase.QUEUED, _POOL, ("register",)),
    Move(None, Phase.OUTSIDE, _EXTERNAL, ("register",)),
    Move(None, Phase.DELAYED, _POOL, ("register",)),
    Move(None, Phase.BLOCKED, _POOL, ("register",)),
    Move(Phase.BLOCKED, Phase.QUEUED, _POOL, (*TELLING, "close_group")),
    Move(Phase.BLOCKED, Phase.DELAYED, _POOL, (*TELLING, "close_group")),
    Move(Phase.BLOCKED, ProcessStatus.CANCELLED, _POOL, (*TELLING, "close_group")),
    Move(Phase.BLOCKED, Phase.STARTED, _POOL, ("turn",)),  # it ends what the row waits for, and then claims
    Move(Phase.BLOCKED, Phase.UNCERTAIN, _BOUND, ("record_first_started",)),
    Move(Phase.DELAYED, Phase.QUEUED, _POOL, ("bring_due", "claim_next", "turn")),
    Move(Phase.DELAYED, Phase.STARTED, _POOL, ("claim_next", "turn")),  # it brings what is due, and then claims
    Move(Phase.DELAYED, Phase.UNCERTAIN, _BOUND, ("record_first_started",)),
    Move(Phase.DELAYED, ProcessStatus.CANCELLED, _POOL, (*_CANCELS, *_EXPIRES)),
    Move(Phase.QUEUED, ProcessStatus.CANCELLED, _POOL, (*_CANCELS, *_EXPIRES)),
    Move(Phase.HELD, ProcessStatus.CANCELLED, _POOL, ("bring_due", "claim_next", "turn")),  # it has expired
    Move(Phase.STARTED, Phase.DELAYED, _RERUNNABLE, ("retry",)),
    Move(Phase.STARTED, ProcessStatus.FAILED, _RERUNNABLE, ("retry",)),
    Move(Phase.STARTED, ProcessStatus.CANCELLED, _RERUNNABLE, ("retry",)),
    Move(Phase.HELD, Phase.DELAYED, _RERUNNABLE, ("retry",)),
    Move(Phase.HELD, ProcessStatus.FAILED, _RERUNNABLE, ("retry",)),
    Move(Phase.HELD, ProcessStatus.CANCELLED, _RERUNNABLE, ("retry",)),
    Move(Phase.QUEUED, Phase.STARTED, _POOL, ("claim_next", "turn")),
    Move(Phase.QUEUED, Phase.HELD, _POOL, ("claim", "reclaim")),
    Move(Phase.QUEUED, Phase.UNCERTAIN, _BOUND, ("record_first_started",)),
    Move(Phase.HELD, Phase.STARTED, _POOL, ("start", "record_first_started")),
    Move(Phase.HELD, Phase.QUEUED, _POOL, ("release", "settle")),
    Move(Phase.HELD, Phase.UNCERTAIN, _BOUND, ("release", "settle", "record_first_started")),
    Move(Phase.HELD, ProcessStatus.COMPLETED, _POOL, ("terminalize", "turn")),
    Move(Phase.HELD, ProcessStatus.FAILED, _POOL, ("terminalize", "turn")),
    Move(Phase.HELD, ProcessStatus.CANCELLED, _POOL, ("release", "settle", *_CANCELS)),
    Move(Phase.HELD, ProcessStatus.CANCELLED, _BOUND, ("terminalize",)),
    Move(Phase.HELD, ProcessStatus.ABANDONED, _BOUND, ("settle",)),
    Move(Phase.STARTED, Phase.QUEUED, _RERUNNABLE, ("release", "settle")),
    Move(Phase.STARTED, Phase.QUEUED, _POOL, ("unstart",)),
    Move(Phase.STARTED, Phase.HELD, _RERUNNABLE, ("claim", "reclaim")),
    Move(Phase.STARTED, Phase.UNCERTAIN, _BOUND, ("release", "settle")),
    Move(Phase.STARTED, ProcessStatus.COMPLETED, _POOL, ("terminalize", "turn")),
    Move(Phase.STARTED, ProcessStatus.FAILED, _POOL, ("terminalize", "turn")),
    Move(Phase.STARTED, ProcessStatus.CANCELLED, _POOL, ("terminalize", "turn", "unstart")),
    Move(Phase.STARTED, ProcessStatus.CANCELLED, _RERUNNABLE, ("release", "settle", *_CANCELS)),
    Move(Phase.STARTED, ProcessStatus.ABANDONED, _POOL, ("settle",)),
    Move(Phase.UNCERTAIN, Phase.STARTED, _BOUND, ("claim", "reclaim")),
    Move(Phase.UNCERTAIN, Phase.HELD, _BOUND, ("claim", "reclaim")),
    Move(Phase.UNCERTAIN, ProcessStatus.ABANDONED, _BOUND, ("settle",)),
    Move(Phase.OUTSIDE, ProcessStatus.COMPLETED, _EXTERNAL, ("complete_unleased",)),
    Move(Phase.OUTSIDE, ProcessStatus.FAILED, _EXTERNAL, ("complete_unleased",)),
    Move(Phase.OUTSIDE, ProcessStatus.CANCELLED, _EXTERNAL, ("complete_unleased",)),
    Move(Phase.OUTSIDE, ProcessStatus.ABANDONED, _EXTERNAL, ("settle",)),
)
