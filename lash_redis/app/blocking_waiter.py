"""Wait for the end of processes in threads, in the way of ``waiter`` (rules 9.3 and 9.5)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from lash_redis.app.unserved import why_it_waits_blocking
from lash_redis.app.wait import Wait, closed_error, ended_id, is_not_now, reread_delay_s, retry_delay_s
from lash_redis.core.model import ProcessRecord
from lash_redis.core.timing import boottime_ms, random_token
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.listening import listen_blocking

_CLOSE_TIMEOUT_S: Final = 1.0


class BlockingWaiter:
    """All waits of code without an event loop. One thread listens for all; each waiting thread reads its own row.

    If the server hangs, a read may last longer than the wait's timeout, by the registry's attempts and their timeouts.
    """

    def __init__(self, registry: BlockingRegistry) -> None:
        self._registry = registry
        self._name = random_token()
        self._changing = threading.Condition()
        self._waits: dict[str, list[threading.Event]] = {}  # set when the row is to be read again
        self._closing = threading.Event()  # of the waits and the listener of now; closing makes a new one
        self._listener: threading.Thread | None = None
        self._refusal: Exception | None = None  # why nothing can be heard, which time does not cure

    def wait_for(self, wait: Wait) -> ProcessRecord:
        """Wait until the process has ended, and return its record; raise what ``Waiter.wait_for`` raises."""
        if wait.timeout == 0:
            return self._read_once(wait)
        deadline_ms = None if wait.timeout is None else boottime_ms() + wait.timeout * 1000
        with self._waiting(wait.process_id) as (read_again, closing):
            outages: list[Exception] = []
            while True:
                read_again.clear()  # before the read: a message during the read asks for another
                pause_s = reread_delay_s()
                try:
                    row = self._registry.watch([wait.process_id], self._name)[0]
                except Exception as error:
                    if not is_not_now(error, self._registry.target.namespace):
                        raise
                    outages.append(error)
                    pause_s = retry_delay_s(len(outages))
                else:
                    outages.clear()
                    record = wait.record_if_ended(row)
                    if record is not None:
                        return record
                    self._listen(closing)
                if deadline_ms is not None:
                    left_s = (deadline_ms - boottime_ms()) / 1000
                    if left_s <= 0:
                        waits = "" if outages else why_it_waits_blocking(self._registry, wait)
                        raise wait.timeout_error(outages, self._registry.target.address.shown, waits)
                    pause_s = min(pause_s, left_s)
                read_again.wait(pause_s)
                if closing.is_set():
                    raise closed_error()
                if self._refusal is not None:
                    raise self._refusal

    def _read_once(self, wait: Wait) -> ProcessRecord:
        record = wait.record_if_ended(self._registry.rows([wait.process_id])[0])
        if record is None:
            raise wait.timeout_error([], self._registry.target.address.shown)
        return record

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
    def _waiting(self, process_id: str) -> Iterator[tuple[threading.Event, threading.Event]]:
        read_again = threading.Event()
        with self._changing:
            self._waits.setdefault(process_id, []).append(read_again)
            closing = self._closing
        try:
            yield read_again, closing
        finally:
            with self._changing:
                waits = self._waits[process_id]
                waits.remove(read_again)
                if not waits:
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
            for read_again in self._waits.get(ended_id(text), ()):
                read_again.set()

    def _on_subscribed(self) -> None:
        with self._changing:
            self._read_all_again()

    def _read_all_again(self) -> None:
        for waits in self._waits.values():
            for read_again in waits:
                read_again.set()
