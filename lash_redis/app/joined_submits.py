"""Submits of one task at the same time, on one event loop: those that come while calls are under way go in one call.

A submit is sent at once as long as fewer than two calls are under way, so that one after the other is as quick as ever.
What comes meanwhile waits, and goes together when one of them has ended: a service with many requests at once sends a
batch, and not a call for each. A batch is registered whole or not at all, so that where one of it is refused, each is
sent alone: nobody hears of what another one did, nor of another one's partition that does not answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from enum import Enum
from typing import Final, TypeAlias

from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.errors import LashError, RegistryUnavailable
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.terms import Terms
from lash_redis.registry.registry import ProcessRegistry

TermsOf: TypeAlias = Callable[[Sequence[ProcessRegistration]], Terms]
_Answer: TypeAlias = tuple[str, bool]

_MOST_CALLS: Final = 2  # the server has work while we make the next batch


class _Turn(Enum):
    """What a submit that waited is to do."""

    LEAD = "send all that wait"
    ALONE = "send itself"


class _Waiting:
    """A submit that waits: for what became of it, or for its turn."""

    __slots__ = ("answer", "registration")

    def __init__(self, registration: ProcessRegistration) -> None:
        self.registration = registration
        self.answer: asyncio.Future[_Answer | _Turn] = asyncio.get_running_loop().create_future()

    def tell(self, what: _Answer | _Turn) -> bool:
        """Tell it what came of it, or what it is to do; return False if it is cancelled, so that nobody listens."""
        if self.answer.done():
            return False
        self.answer.set_result(what)
        return True

    def leave(self) -> _Answer | _Turn | None:
        """Have nobody listen any more; return what it was told already, None if that is nothing or an error."""
        is_told = not self.answer.cancel() and not self.answer.cancelled() and self.answer.exception() is None
        return self.answer.result() if is_told else None

    def fail(self, error: Exception) -> None:
        """Have it raise an error, unless it is cancelled."""
        if not self.answer.done():
            self.answer.set_exception(error)


def _one_more(error: LashError) -> LashError:
    """Return an error like this one: what a caller's code adds to its error is seen by nobody else."""
    other = copy(error)
    other.__cause__ = error.__cause__
    other.__context__ = error.__context__
    other.__suppress_context__ = error.__suppress_context__
    return other


class JoinedSubmits:
    """The submits of one task on one event loop.

    Args:
        registry: where they are registered.
        terms_of: returns what stands in the registry before them.
        waiter: the channel of a client that waits for all of them; empty: nobody is known to wait.
    """

    def __init__(self, registry: ProcessRegistry, terms_of: TermsOf, waiter: str = "") -> None:
        self._registry = registry
        self._terms_of = terms_of
        self._waiter = waiter
        self._calls = 0  # under way, or about to be sent by the submit whose turn it is
        self._waiting: deque[_Waiting] = deque()

    async def submit(self, registration: ProcessRegistration) -> _Answer:
        """Register a process; return the id of the one that stands for it, and whether that is a new one.

        Raises:
            LashError: as ``submit_all`` of the registry.
        """
        if self._calls < _MOST_CALLS:
            self._calls += 1
            try:
                return (await self._sent([registration]))[0]
            finally:
                self._pass_on()
        mine = _Waiting(registration)
        self._waiting.append(mine)
        try:
            turn = await mine.answer
        except (asyncio.CancelledError, GeneratorExit):
            if mine.leave() is _Turn.LEAD:
                self._pass_on()
            raise
        if turn is _Turn.LEAD:
            turn = await self._lead(mine)
        return (await self._sent([registration]))[0] if isinstance(turn, _Turn) else turn

    async def _lead(self, mine: _Waiting) -> _Answer | _Turn:
        """Send what waits, and tell the others what became of theirs."""
        others: list[_Waiting] = []
        while self._waiting and len(others) < MAX_BATCH - 1:
            if not (each := self._waiting.popleft()).answer.done():  # it may be cancelled
                others.append(each)
        try:
            mine_stands, *stand = await self._sent([each.registration for each in (mine, *others)])
        except LashError as error:
            if isinstance(error, RegistryUnavailable) and not self._lie_apart(mine, others):
                for each in others:
                    each.fail(_one_more(error))
                raise
            if not others:
                raise
            for each in others:
                each.tell(_Turn.ALONE)
            return _Turn.ALONE
        except BaseException:  # this one is cancelled; the others are not
            self._waiting.extendleft(reversed(others))
            raise
        finally:
            self._pass_on()
        for each, stands in zip(others, stand, strict=True):
            each.tell(stands)
        return mine_stands

    def _lie_apart(self, mine: _Waiting, others: list[_Waiting]) -> bool:
        """Say whether they went in several calls: one partition that does not answer is no word about the others."""
        partition_of = self._registry.partition_of
        return len({partition_of(each.registration.id) for each in (mine, *others)}) > 1

    async def _sent(self, batch: list[ProcessRegistration]) -> list[_Answer]:
        return await self._registry.submit_all(batch, self._terms_of(batch), self._waiter)

    def _pass_on(self) -> None:
        """Give the turn of a call that has ended to one that waits."""
        while self._waiting:
            if self._waiting.popleft().tell(_Turn.LEAD):
                return
        self._calls -= 1
