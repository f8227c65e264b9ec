"""Wait for the end of processes in threads, in the way of ``waiter`` (rules 9.3 and 9.5)."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from lash_redis.app.unserved import why_it_waits_blocking
from lash_redis.app.wait import Wait, closed_error, ended_id, is_not_now, reread_delay_s, retry_delay_s
from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.model import ProcessRecord
from lash_redis.core.timing import boottime_ms, random_token
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.listening import listen_blocking
from lash_redis.registry.rows import Row

_CLOSE_TIMEOUT_S: Final = 1.0

Over = tuple[Wait, ProcessRecord | Exception]


class _Caller:
    """One call that waits, and which of its processes are to be read."""

    def __init__(self, process_ids: Iterable[str]) -> None:
        self.process_ids = list(process_ids)
        self.woken = threading.Event()
        self._changing = threading.Lock()
        self._due = dict.fromkeys(self.process_ids)  # in order

    def read_again(self, process_ids: Iterable[str]) -> None:
        """Have some of them read soon."""
        with self._changing:
            self._due.update(dict.fromkeys(process_ids))
            self.woken.set()

    def to_read(self) -> list[str]:
        """Return what is to be read now, one page of it: a message during the read makes it due again."""
        with self._changing:
            ids = list(islice(self._due, MAX_BATCH))
            for each in ids:
                del self._due[each]
            if not self._due:
                self.woken.clear()
        return ids


def _over(left: dict[str, list[Wait]], rows: Mapping[str, Row | None]) -> list[Over]:
    """Return the waits that these rows end, and leave the others."""
    over: list[Over] = []
    for process_id, row in rows.items():
        waits, still = left.pop(process_id, []), []
        for wait in waits:
            try:
                ended = wait.record_if_ended(row)
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


class BlockingWaiter:
    """All waits of code without an event loop. One thread listens for all; each waiting call reads its own rows.

    If the server hangs, a read may last longer than the wait's timeout, by the registry's attempts and their timeouts.
    """

    def __init__(self, registry: BlockingRegistry) -> None:
        self._registry = registry
        self._name = random_token()
        self._changing = threading.Condition()
        self._waits: dict[str, list[_Caller]] = {}  # by process id
        self._closing = threading.Event()  # of the waits and the listener of now; closing makes a new one
        self._listener: threading.Thread | None = None
        self._refusal: Exception | None = None  # why nothing can be heard, which time does not cure

    def wait_for(self, wait: Wait) -> ProcessRecord:
        """Wait until the process has ended, and return its record; raise what ``Waiter.wait_for`` raises."""
        ((_, ended),) = next(self.wait_for_several([wait], wait.timeout))
        if isinstance(ended, Exception):
            raise ended
        return ended

    def wait_for_several(self, waits: Sequence[Wait], timeout: float | None) -> Iterator[list[Over]]:
        """Yield the waits that are over, some at a time, each with the record, or with the error that ended it alone.

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
        with self._waiting(_Caller(left)) as (caller, closing):
            outages: list[Exception] = []
            while left:
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
                    pause_s = retry_delay_s(len(outages)) if outages else reread_delay_s()
                    self._pause(caller, left, pause_s, deadline_ms, closing)

    def _read(self, caller: _Caller, outages: list[Exception], *, watches: bool) -> dict[str, Row | None]:
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
        caller: _Caller,
        left: Iterable[str],
        pause_s: float,
        deadline_ms: float | None,
        closing: threading.Event,
    ) -> None:
        """Wait until something is to be read: the caller was told so, or it is time to look again."""
        self._check(closing)  # what was told while rows were read made them be read once more, and does not wake again
        if deadline_ms is not None:
            pause_s = min(pause_s, max(0, deadline_ms - boottime_ms()) / 1000)
        if not caller.woken.wait(pause_s):
            caller.read_again(left)
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
        self._read_all_again()

    @contextlib.contextmanager
    def _waiting(self, caller: _Caller) -> Iterator[tuple[_Caller, threading.Event]]:
        with self._changing:
            for process_id in caller.process_ids:
                self._waits.setdefault(process_id, []).append(caller)
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
            self._on_subscribed()  # wakes every waiting thread

    def _on_message(self, _partition: int, text: str) -> None:
        with self._changing:
            process_id = ended_id(text)
            for caller in self._waits.get(process_id, ()):
                caller.read_again([process_id])

    def _on_subscribed(self) -> None:
        with self._changing:
            self._read_all_again()

    def _read_all_again(self) -> None:
        for process_id, callers in self._waits.items():
            for caller in callers:
                caller.read_again([process_id])
