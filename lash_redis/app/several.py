"""Wait for several processes: for all of them, or for each as it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypeVar, overload

from lash_redis.app.process import AppContext, BlockingProcess, Process, outcome_in, result_of
from lash_redis.app.sessions import BlockingSession
from lash_redis.app.wait import End, missing_error
from lash_redis.core.checks import checked_iterable, refused
from lash_redis.core.errors import OutcomePruned, UnknownProcess
from lash_redis.core.outcomes import Outcome

T = TypeVar("T")

_ADVICE: Final[dict[type, str]] = {
    list: ": gather(*handles) takes a list of them",
    tuple: ": gather(*handles) takes a tuple of them",
    str: ": lash.process(id) makes one",
    Process: ": lash.blocking takes process.blocking",
    BlockingProcess: ": it belongs to lash.blocking.gather and lash.blocking.as_completed",
}


class SeveralControls:
    """The part of ``Lash`` that waits for several processes."""

    _context: AppContext

    @overload
    async def gather(
        self, *processes: Process[T], timeout: float | None = None, return_exceptions: Literal[False] = False
    ) -> list[T]: ...
    @overload
    async def gather(
        self, *processes: Process[T], timeout: float | None = None, return_exceptions: bool
    ) -> list[T | BaseException]: ...
    async def gather(
        self, *processes: Process[Any], timeout: float | None = None, return_exceptions: bool = False
    ) -> list[Any]:
        """Wait until all of them have ended, and return their results in that order, as ``asyncio.gather`` does.

        Args:
            processes: their handles.
            timeout: seconds, of all of them together; None waits for ever.
            return_exceptions: whether the error of one that has no result stands in its place in the list, instead of
                being raised.

        Raises:
            NoResult: the first that ended without a result; the others go on.
            TimeoutError: one has not ended within so many seconds.
        """
        waits = [asyncio.ensure_future(each.result(timeout)) for each in _checked(processes, Process)]
        try:
            return list(await asyncio.gather(*waits, return_exceptions=return_exceptions))
        finally:
            await _stopped(waits)

    async def as_completed(
        self, processes: Iterable[Process[T]], timeout: float | None = None
    ) -> AsyncIterator[tuple[Process[T], Outcome[T]]]:
        """Iterate over processes as they end, each with its outcome. What has ended comes before any error.

        Raises:
            TimeoutError: one has not ended within so many seconds.
        """
        given = _checked(checked_iterable("processes", "handles", processes), Process)
        waits = {asyncio.ensure_future(each.outcome(timeout)): each for each in given}
        left = set(waits)
        # Of those that are read once, and not waited for, one may be read before another one that has ended.
        until = asyncio.ALL_COMPLETED if timeout == 0 else asyncio.FIRST_COMPLETED
        try:
            while left:
                ended, left = await asyncio.wait(left, return_when=until)
                # asyncio has them in no order: an error would take the outcomes behind it along.
                for wait in sorted(ended, key=lambda each: each.exception() is not None):
                    yield waits[wait], wait.result()
        finally:
            await _stopped(list(waits))


async def _stopped(waits: Sequence[asyncio.Future[Any]]) -> None:
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


class BlockingSeveralControls:
    """The same part of ``Lash.blocking``."""

    _context: AppContext

    @overload
    def gather(
        self, *processes: BlockingProcess[T], timeout: float | None = None, return_exceptions: Literal[False] = False
    ) -> list[T]: ...
    @overload
    def gather(
        self, *processes: BlockingProcess[T], timeout: float | None = None, return_exceptions: bool
    ) -> list[T | BaseException]: ...
    def gather(
        self, *processes: BlockingProcess[Any], timeout: float | None = None, return_exceptions: bool = False
    ) -> list[Any]:
        """Do what ``Lash.gather`` does."""
        results: list[Any] = [None] * len(processes)
        for at, ended in self._ended(_checked(processes, BlockingProcess), timeout):
            try:
                results[at] = result_of(processes[at].id, _raised(ended))
            except Exception as error:
                if not return_exceptions:
                    raise
                results[at] = error
        return results

    def as_completed(
        self, processes: Iterable[BlockingProcess[T]], timeout: float | None = None
    ) -> Iterator[tuple[BlockingProcess[T], Outcome[T]]]:
        """Do what ``Lash.as_completed`` does."""
        given = _checked(checked_iterable("processes", "handles", processes), BlockingProcess)
        for at, ended in self._ended(given, timeout):
            yield given[at], _raised(ended)

    def _ended(
        self, processes: Sequence[BlockingProcess[T]], timeout: float | None
    ) -> Iterator[tuple[int, Outcome[T] | Exception]]:
        """Yield the number of each process as it ends, with its outcome or the error that its handle raises."""
        waits = {each._wait(timeout): at for at, each in enumerate(processes)}  # noqa: SLF001 - handles of ours
        session = self._context.sessions.blocking()
        for over in session.waiter.wait_for_several(list(waits), timeout):
            ended = [(waits[wait], self._of(session, processes[waits[wait]], end)) for wait, end in over]
            yield from sorted(ended, key=lambda each: isinstance(each[1], Exception))

    def _of(
        self, session: BlockingSession, process: BlockingProcess[T], end: End | Exception
    ) -> Outcome[T] | Exception:
        """Return the outcome with which a wait ended, or the error that the handle raises."""
        try:
            if isinstance(end, (OutcomePruned, UnknownProcess)):
                (tombstone,) = session.registry.tombstones([process.id])
                return missing_error(process.id, tombstone, end)
            return end if isinstance(end, Exception) else outcome_in(self._context, process.id, end)
        except Exception as error:  # noqa: BLE001 - it comes after the outcomes that were read with it
            return error


def _raised(ended: Outcome[T] | Exception) -> Outcome[T]:
    if isinstance(ended, Exception):
        raise ended
    return ended


Handle = TypeVar("Handle", bound=Process[Any] | BlockingProcess[Any])


def _checked(processes: Iterable[object], kind: type[Handle]) -> list[Handle]:
    """Return handles of this kind.

    Raises:
        SettingsError: something is none.
    """
    handles: list[Handle] = []
    for each in processes:
        if not isinstance(each, kind):
            advice = next((text for other, text in _ADVICE.items() if isinstance(each, other)), "")
            raise refused("each of processes", f"a handle ({kind.__name__})", each, advice)
        handles.append(each)
    return handles
