"""A model of two lanes that share slots: whether one of them can be kept waiting for ever by the other.

Lane A has rows without end, of one slot each. A worker of it ends its row and claims the next one in one call. Lane B
has rows that need ``cost_of_b`` slots. A row that is uncertain may hold one slot for good. A claim that is refused
makes its lane the one that is next, and no other takes slots until it has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

SLOTS: Final = 2


class State(NamedTuple):
    """How many rows of each lane run, how many slots uncertain rows hold, and which lane is next (empty: any)."""

    of_a: int = 0
    of_b: int = 0
    uncertain: int = 0
    next: str = ""


class Mechanism(NamedTuple):
    """What B needs, whether a row may become uncertain, and which parts of the sentence hold."""

    cost_of_b: int = 1
    may_become_uncertain: bool = False
    takes_turns: bool = True
    yields_while_uncertain: bool = True
    yields_when_late: bool = True

    def cost(self, lane: str) -> int:
        """Return how many slots a row of a lane needs."""
        return self.cost_of_b if lane == "B" else 1

    def free(self, state: State) -> int:
        """Return how many slots are free."""
        return SLOTS - state.of_a - state.of_b * self.cost_of_b - state.uncertain

    def can_have_room(self, lane: str, state: State) -> bool:
        """Say whether uncertain rows leave room for a row of a lane."""
        return self.cost(lane) <= SLOTS - state.uncertain


Edge = tuple[str, State]
Graph = dict[State, list[Edge]]


def _claim(of: Mechanism, state: State, lane: str) -> Edge:
    """Claim one row of a lane; a claim that is refused makes its lane the next one."""
    is_waited_for = state.next and (of.can_have_room(state.next, state) or not of.yields_while_uncertain)
    if (is_waited_for and state.next != lane) or of.free(state) < of.cost(lane):
        following = lane if of.takes_turns and not is_waited_for else state.next
        return f"{lane} is refused", state._replace(next=following)
    state = state._replace(next="" if state.next == lane else state.next)
    more = {"A": state._replace(of_a=state.of_a + 1), "B": state._replace(of_b=state.of_b + 1)}
    return f"{lane} starts", more[lane]


def _edges(of: Mechanism, state: State, *, b_comes: bool) -> Iterator[Edge]:
    """Yield what may happen, and what the state is then; with ``b_comes`` B's workers claim, and are never late."""
    yield _claim(of, state, "A")
    if b_comes:
        yield _claim(of, state, "B")
    if state.of_a:
        yield "A goes on", _claim(of, state._replace(of_a=state.of_a - 1), "A")[1]
        if of.may_become_uncertain and not state.uncertain:
            yield "A is lost", state._replace(of_a=state.of_a - 1, uncertain=1)
    if state.of_b:
        yield "B ends", state._replace(of_b=state.of_b - 1)
    is_late = state.next == "B" and not b_comes and of.free(state) >= of.cost("B")
    if is_late and of.yields_when_late:
        yield "B is late", state._replace(next="")


def _graph(of: Mechanism, first: State, *, b_comes: bool, without: str = "") -> Graph:
    graph: Graph = {}
    todo = [first]
    while todo:
        state = todo.pop()
        if state not in graph:
            graph[state] = [edge for edge in _edges(of, state, b_comes=b_comes) if edge[0] != without]
            todo += [after for _, after in graph[state]]
    return graph


def _reaches(graph: Graph, first: State, goals: set[State]) -> bool:
    seen, todo = set[State](), [first]
    while todo:
        state = todo.pop()
        if state in goals:
            return True
        if state not in seen:
            seen.add(state)
            todo += [after for _, after in graph[state]]
    return False


def b_starves(of: Mechanism) -> bool:
    """Say whether A can go on for ever while B is refused again and again, although slots that end would do for it.

    Such a life is a circle without a start of B, in which A goes on and B is refused.
    """
    for first in _graph(of, State(), b_comes=True):
        graph = _graph(of, first, b_comes=True, without="B starts")
        for said, after in graph[first]:
            refused = dict(graph[after]).get("B is refused")
            is_circle = refused and _reaches(graph, refused, {first})
            if said == "A goes on" and is_circle and of.can_have_room("B", first):
                return True
    return False


def a_stands_still(of: Mechanism) -> bool:
    """Say whether A can come to where it never starts a row again, if B's workers come no more."""
    for first in _graph(of, State(), b_comes=True):
        graph = _graph(of, first, b_comes=False)
        starts = {state for state, edges in graph.items() if any(_starts_a(state, *edge) for edge in edges)}
        if not _reaches(graph, first, starts):
            return True
    return False


def _starts_a(before: State, said: str, after: State) -> bool:
    return said == "A starts" or (said == "A goes on" and after.of_a == before.of_a)
