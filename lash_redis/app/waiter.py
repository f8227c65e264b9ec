"""Wait for the end of processes on an event loop, by one subscription and by reads (rules 9.3 and 9.5).

A read finds the end, or notes on the row that this client waits; a submit can note it too (see ``announced``). The
terminal write then publishes a message on the client's one subscription, which says how the process ended if that is
short, or has the client read the row again. It also reads again after each new subscription, since messages before it
were lost, and every 5 to 10 s in case a message was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from functools import partial
from itertools import islice

from lash_redis.app.announced import UNHEARD, Announced
from lash_redis.app.joined_submits import JoinedSubmits, TermsOf
from lash_redis.app.unserved import why_it_waits
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
from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.model import ProcessRegistration
from lash_redis.core.timing import call_later, random_token, sleep
from lash_redis.registry.listening import listen
from lash_redis.registry.messages import TOLD
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row
from lash_redis.tasks.declaration import Declaration

_END_TIMEOUT_S = 1.0  # a server that hangs may keep a connection open for longer


class Waiter:
    """All waits of one event loop. They share one subscription, and the waits that are due share one read."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self._registry = registry
        self._name = f"{TOLD}{random_token()}"
        self._waits: dict[str, dict[asyncio.Future[End], Wait]] = {}
        self._due: dict[str, None] = {}  # ids to read next, in order
        self._changed = asyncio.Event()  # set when something is due or the last wait of a process has ended
        self._announced = Announced()
        self._submits: dict[tuple[int, str], JoinedSubmits] = {}  # by id() of the declaration, and by who waits
        self._outages: list[Exception] = []  # since the last answered read
        self._reader: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    async def submit(self, registration: ProcessRegistration, task: Declaration, terms_of: TermsOf) -> str:
        """Register a process, and say at once that this client waits for it, if it mostly does; return its id.

        Args:
            registration: the process.
            task: its task, whose submits share calls; one that is declared anew shares none with the former.
            terms_of: returns what stands in the registry before registrations of it; it keeps the declaration.

        Raises:
            LashError: as ``registration.submit`` of the registry.
        """
        if not self._announced.may_announce:
            return (await self._joined(task, terms_of, "").submit(registration))[0]
        self._announced.announce(registration.id)
        is_new = False
        try:
            stands, is_new = await self._joined(task, terms_of, self._name).submit(registration)
        finally:
            if not is_new:
                self._announced.retract(registration.id)
        return stands

    def _joined(self, task: Declaration, terms_of: TermsOf, waiter: str) -> JoinedSubmits:
        joined = self._submits.get((id(task), waiter))
        if joined is None:
            joined = self._submits[id(task), waiter] = JoinedSubmits(self._registry, terms_of, waiter)
        return joined

    async def wait_for(self, wait: Wait) -> End:
        """Wait until the process has ended, and return how. It goes on during an outage (``is_not_now``).

        Raises:
            TimeoutError: it was read, and has not ended within the timeout of the wait.
            RegistryUnavailable: no read was answered within the timeout.
            LashError: an error of ``Wait.end_in``, or the registry refused the read.
        """
        if wait.timeout == 0:
            return await self._read_once(wait)
        known = self._announced.waited_for(wait.process_id)
        if isinstance(known, End):
            return known
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[End] = loop.create_future()
        self._waits.setdefault(wait.process_id, {})[ended] = wait
        first_read = None
        if known is UNHEARD:
            first_read = call_later(loop, wait.first_read_s(FIRST_READ_S), partial(self._read_soon, (wait.process_id,)))
        else:
            self._read_soon((wait.process_id,))
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_while_waits())
        try:
            async with asyncio.timeout(wait.timeout):
                return await ended
        except TimeoutError:
            waits = "" if self._outages else await why_it_waits(self._registry, wait)
            raise wait.timeout_error(self._outages, self._registry.address.shown, waits) from None
        finally:
            if first_read is not None:
                first_read.cancel()
            self._forget(wait.process_id, ended)
            if not self._registry.connections.is_used_here:
                await self.aclose_if_idle()  # its event loop may never run again, and nobody would end them

    async def _read_once(self, wait: Wait) -> End:
        end = wait.end_in((await self._registry.rows([wait.process_id]))[0])
        if end is None:
            raise wait.timeout_error([], self._registry.address.shown)
        return end

    @property
    def has_waits(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waits)

    def hush(self) -> None:
        """End the subscription if nobody waits."""
        if not self._waits and self._listener is not None:
            self._listener.cancel()

    async def aclose_if_idle(self) -> bool:
        """End the subscription unless somebody waits; return whether nobody does."""
        if not self._waits:
            await self.aclose()
        return not self._waits

    async def aclose(self) -> None:
        """End the subscription, and end every wait with an error. The next wait begins anew."""
        self._fail(self._waits, closed_error())
        tasks = [task for task in (self._reader, self._listener) if task is not None]
        self._reader = self._listener = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_TIMEOUT_S)

    def _forget(self, process_id: str, ended: asyncio.Future[End]) -> None:
        waits = self._waits[process_id]
        del waits[ended]
        if not waits:
            del self._waits[process_id]
            self._due.pop(process_id, None)
            self._changed.set()

    def _read_soon(self, process_ids: Iterable[str]) -> None:
        self._due.update(dict.fromkeys(process_ids))
        self._changed.set()

    async def _read_while_waits(self) -> None:
        """Read what is due, and every row each 5 to 10 s, until there is no wait."""
        loop = asyncio.get_running_loop()
        reread_at = loop.time() + reread_delay_s()
        while self._waits:
            if loop.time() >= reread_at:
                self._read_soon(self._waits)
                reread_at = loop.time() + reread_delay_s()
            if self._due:
                await self._read(list(islice(self._due, MAX_BATCH)))
                continue
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(reread_at):
                    await self._changed.wait()

    async def _read(self, process_ids: list[str]) -> None:
        for process_id in process_ids:
            del self._due[process_id]  # before the read: a message during the read makes it due again
        try:
            rows = await self._registry.watch(process_ids, self._name)
        except Exception as error:  # noqa: BLE001 - the callers get it, whatever it is, unless it is over soon
            if not is_not_now(error, self._registry.target.namespace):
                self._fail(process_ids, error)
                return
            self._outages.append(error)
            self._read_soon(process_id for process_id in process_ids if process_id in self._waits)
            await sleep(retry_delay_s(len(self._outages)))
        else:
            self._outages.clear()
            for process_id, row in zip(process_ids, rows, strict=True):
                self._end_waits(process_id, row)
            self._listen()

    def _end_waits(self, process_id: str, row: Row | None) -> None:
        for ended, wait in self._waits.get(process_id, {}).items():
            if ended.done():
                continue
            try:
                end = wait.end_in(row)
            except Exception as error:  # noqa: BLE001 - the caller gets it, whatever it is
                ended.set_exception(error)
            else:
                if end is not None:
                    ended.set_result(end)

    def _fail(self, process_ids: Iterable[str], error: Exception) -> None:
        for process_id in process_ids:
            for ended in self._waits.get(process_id, {}):
                if not ended.done():
                    ended.set_exception(error)

    def _listen(self) -> None:
        if self._listener is not None and not self._listener.done():
            return
        if all(ended.done() for waits in self._waits.values() for ended in waits):
            return  # the read found every end, so that no message is needed
        listening = listen(self._registry, self._name, self._on_message, self._on_subscribed)
        self._listener = asyncio.create_task(listening)
        self._listener.add_done_callback(self._on_listener_end)

    def _on_listener_end(self, listener: asyncio.Task[None]) -> None:
        """Give an error that time does not cure, such as a refused subscription, to those who wait."""
        self._announced.unsubscribed()
        error = None if listener.cancelled() else listener.exception()
        if isinstance(error, Exception):
            self._fail(self._waits, error)

    def _on_message(self, _partition: int, text: str) -> None:
        process_id, end = told_end(text)
        waits = self._waits.get(process_id)
        if waits is None:
            self._announced.heard(process_id, end)
        elif end is None:
            self._read_soon((process_id,))
        else:
            for ended in waits:
                if not ended.done():
                    ended.set_result(end)

    def _on_subscribed(self) -> None:
        self._announced.subscribed()
        self._read_soon(self._waits)
