"""Wait for the end of processes in threads, in the way of ``waiter`` (rules 9.3 and 9.5)."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from lash_redis.app.announced import UNHEARD, Announced
from lash_redis.app.blocking_caller import Caller
from lash_redis.app.unserved import why_it_waits_blocking
from lash_redis.app.wait import (
    FIRST_READ_S,
    End,
    Wait,
    closed_error,
    is_not_now,
    reread_delay_s,
    retry_delay_s,
    told_end,
)
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.terms import Terms
from lash_redis.core.timing import boottime_ms, random_token
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.listening import listen_blocking
from lash_redis.registry.messages import TOLD
from lash_redis.registry.rows import Row

_CLOSE_TIMEOUT_S: Final = 1.0

Over = tuple[Wait, End | Exception]


def _over(left: dict[str, list[Wait]], rows: Mapping[str, Row | None]) -> list[Over]:
    """Return the waits that these rows end, and leave the others."""
    over: list[Over] = []
    for process_id, row in rows.items():
        waits, still = left.pop(process_id, []), []
        for wait in waits:
            try:
                ended = wait.end_in(row)
            except Exception as error:  # noqa: BLE001 - who waits for this one gets it, whatever it is
                over.append((wait, error))
            else:
                if ended is None:
                    still.append(wait)
                else:
                    over.append((wait, ended))
        if still:
            left[process_id] = still
    return over


class _Rereads:
    """When the rows of one call are read although nothing was told: what was left unread at first before the others."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._first_ms = boottime_ms() + 1000 * FIRST_READ_S if caller.unread else math.inf
        self._next_ms = boottime_ms() + 1000 * reread_delay_s()

    def due_in_s(self) -> float:
        """Return how long until then, s."""
        return max(0, min(self._first_ms, self._next_ms) - boottime_ms()) / 1000

    def read_due(self, left: Iterable[str]) -> None:
        """Have those of the rows that are left read whose time has come."""
        now_ms = boottime_ms()
        if now_ms >= self._first_ms:
            self._first_ms = math.inf
            self.caller.read_again(self.caller.unread.intersection(left))
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + 1000 * reread_delay_s()
            self.caller.read_again(left)


class BlockingWaiter:
    """All waits of code without an event loop. One thread listens for all; each waiting call reads its own rows.

    If the server hangs, a read may last longer than the wait's timeout, by the registry's attempts and their timeouts.
    """

    def __init__(self, registry: BlockingRegistry) -> None:
        self._registry = registry
        self._name = f"{TOLD}{random_token()}"
        self._changing = threading.Condition()
        self._announced = Announced()
        self._waits: dict[str, list[Caller]] = {}  # by process id
        self._closing = threading.Event()  # of the waits and the listener of now; closing makes a new one
        self._listener: threading.Thread | None = None
        self._refusal: Exception | None = None  # why nothing can be heard, which time does not cure

    def submit(self, registration: ProcessRegistration, terms: Terms) -> str:
        """Do what ``Waiter.submit`` does."""
        with self._changing:
            if announces := self._announced.may_announce:
                self._announced.announce(registration.id)
        is_new = False
        try:
            stands, is_new = self._registry.submit(registration, terms, self._name if announces else "")
        finally:
            if announces and not is_new:
                with self._changing:
                    self._announced.retract(registration.id)
        return stands

    def wait_for(self, wait: Wait) -> End:
        """Wait until the process has ended, and return how; raise what ``Waiter.wait_for`` raises."""
        ((_, ended),) = next(self.wait_for_several([wait], wait.timeout))
        if isinstance(ended, Exception):
            raise ended
        return ended

    def wait_for_several(self, waits: Sequence[Wait], timeout: float | None) -> Iterator[list[Over]]:
        """Yield the waits that are over, some at a time, each with how it ended, or with the error that ended it alone.

        Args:
            waits: of whatever processes, each with this timeout.
            timeout: seconds. What has ended by then is yielded before the first that has not.

        Raises:
            LashError: the registry refused a read, or the ``Lash`` was closed, which ends all of them.
        """
        deadline_ms = None if timeout is None else boottime_ms() + timeout * 1000
        left = defaultdict[str, list[Wait]](list)
        for wait in waits:
            left[wait.process_id].append(wait)
        with self._waiting(Caller(left), left if timeout != 0 else {}) as (caller, closing):
            outages: list[Exception] = []
            rereads = _Rereads(caller)
            while left:
                told: list[Over] = [(wait, end) for each, end in caller.told().items() for wait in left.pop(each, ())]
                if told:
                    yield told
                    continue
                # A round that begins past the deadline is the last one, and reads every row that is left.
                is_last = deadline_ms is not None and boottime_ms() >= deadline_ms
                if is_last:
                    caller.read_again(left)
                while read := self._read(caller, outages, watches=timeout != 0):
                    if over := _over(left, read):
                        yield over
                if is_last:
                    yield from self._too_late(left, outages)
                    return
                if left:
                    if not outages:
                        self._listen(closing)
                    self._pause(rereads, left, outages, deadline_ms, closing)

    def _read(self, caller: Caller, outages: list[Exception], *, watches: bool) -> dict[str, Row | None]:
        """Return one page of the rows that are to be read; none if there are none, or while the server is away."""
        ids = caller.to_read()
        if not ids:
            return {}
        try:
            rows = self._registry.watch(ids, self._name) if watches else self._registry.rows(ids)
        except Exception as error:
            if not watches or not is_not_now(error, self._registry.target.namespace):
                raise
            outages.append(error)
            caller.read_again(ids)
            return {}
        outages.clear()
        return dict(zip(ids, rows, strict=True))

    def _pause(
        self,
        rereads: _Rereads,
        left: Iterable[str],
        outages: Sequence[Exception],
        deadline_ms: float | None,
        closing: threading.Event,
    ) -> None:
        """Wait until something is to be read: the caller was told so, or it is time to look again."""
        self._check(closing)  # what was told while rows were read made them be read once more, and does not wake again
        pause_s = retry_delay_s(len(outages)) if outages else rereads.due_in_s()
        if deadline_ms is not None:
            pause_s = min(pause_s, max(0, deadline_ms - boottime_ms()) / 1000)
        # What could not be read is to be read again, and is no reason to do so at once.
        (closing if outages else rereads.caller.woken).wait(pause_s)
        rereads.read_due(left)
        self._check(closing)

    def _check(self, closing: threading.Event) -> None:
        if closing.is_set():
            raise closed_error()
        if self._refusal is not None:
            raise self._refusal

    def _too_late(self, left: Mapping[str, list[Wait]], outages: list[Exception]) -> Iterator[list[Over]]:
        for wait in (wait for waits in left.values() for wait in waits):
            why = "" if outages or wait.timeout == 0 else why_it_waits_blocking(self._registry, wait)
            yield [(wait, wait.timeout_error(outages, self._registry.target.address.shown, why))]

    @property
    def has_waits(self) -> bool:
        """Whether a thread waits."""
        return bool(self._waits)

    def close(self) -> None:
        """End the subscription, and end every wait with an error. The next wait begins anew."""
        with self._changing:
            self._close()
            # The connections are closed next, and no thread should be reading then.
            self._changing.wait_for(lambda: not self._waits, _CLOSE_TIMEOUT_S)

    def close_if_idle(self) -> bool:
        """End the subscription unless a thread waits; return whether none does."""
        with self._changing:
            if self._waits:
                return False
            self._close()
            return True

    def _close(self) -> None:
        self._closing.set()
        self._closing, self._listener = threading.Event(), None
        self._announced.unsubscribed()
        self._read_all_again()

    @contextlib.contextmanager
    def _waiting(self, caller: Caller, waits: Mapping[str, list[Wait]]) -> Iterator[tuple[Caller, threading.Event]]:
        with self._changing:
            for process_id in caller.process_ids:
                self._waits.setdefault(process_id, []).append(caller)
            for process_id in waits:
                known = self._announced.waited_for(process_id)
                if isinstance(known, End):
                    caller.tell(process_id, known)
                elif known is UNHEARD:
                    caller.leave_unread(process_id)
            closing = self._closing
        try:
            yield caller, closing
        finally:
            with self._changing:
                for process_id in caller.process_ids:
                    self._waits[process_id].remove(caller)
                    if not self._waits[process_id]:
                        del self._waits[process_id]
                self._changing.notify_all()

    def _listen(self, closing: threading.Event) -> None:
        with self._changing:
            # A thread does not survive os.fork in the child, so that its presence is no proof that it runs.
            if closing.is_set() or (self._listener is not None and self._listener.is_alive()):
                return
            self._refusal = None
            self._listener = threading.Thread(
                target=self._hear, args=[closing], name="lash-redis-listener", daemon=True
            )
            self._listener.start()

    def _hear(self, closing: threading.Event) -> None:
        try:
            listen_blocking(self._registry, self._name, self._on_message, self._on_subscribed, closing)
        except Exception as error:  # noqa: BLE001 - those who wait get it, whatever it is
            self._refusal = error
            with self._changing:
                self._read_all_again()  # wakes every waiting thread
        finally:
            with self._changing:
                if self._closing is closing:
                    self._announced.unsubscribed()

    def _on_message(self, _partition: int, text: str) -> None:
        process_id, end = told_end(text)
        with self._changing:
            callers = self._waits.get(process_id)
            if callers is None:
                self._announced.heard(process_id, end)
            for caller in callers or ():
                if end is None:
                    caller.read_again([process_id])
                else:
                    caller.tell(process_id, end)

    def _on_subscribed(self) -> None:
        with self._changing:
            self._announced.subscribed()
            self._read_all_again()

    def _read_all_again(self) -> None:
        for process_id, callers in self._waits.items():
            for caller in callers:
                caller.read_again([process_id])
