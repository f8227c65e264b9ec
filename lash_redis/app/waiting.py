"""Waiting for the end of processes without polling (design, section 6, "wake-ups are hints").

The point read is the truth: it finds the end, or notes on the row that this client waits. Then the terminal write says
so on the client's one subscription, and the read is made again. It is also made again each time that the subscription
stands anew, since nothing was heard before, and every 5 to 10 s in case a word was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from lash_redis.app.wait import Wait, after_outage_s, closed, ended_id, until_reread_s
from lash_redis.core.checks import MAX_BATCH
from lash_redis.core.errors import RegistryUnavailable
from lash_redis.core.model import ProcessRecord
from lash_redis.core.timing import boottime_ms, random_token, sleep
from lash_redis.registry.blocking import BlockingRegistry
from lash_redis.registry.listening import listen, listen_blocking
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

_LEAVING_S: Final = 1.0


class Waiting:
    """All waits of one event loop: they share one subscription, and those of one moment share one read."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self._registry = registry
        self._name = random_token()
        self._waits: dict[str, dict[asyncio.Future[ProcessRecord], Wait]] = {}
        self._due: dict[str, None] = {}  # whom to read next, in order
        self._news = asyncio.Event()
        self._outages: list[RegistryUnavailable] = []  # since the last read that was answered
        self._reader: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    async def end_of(self, wait: Wait) -> ProcessRecord:
        """Return the record of a process that has ended, as soon as it has.

        Raises:
            TimeoutError: it has not within the wait's timeout. Until then an outage is waited out.
            LashError: as ``Wait.judge`` says, or the registry refused the read.
        """
        ended: asyncio.Future[ProcessRecord] = asyncio.get_running_loop().create_future()
        self._waits.setdefault(wait.process_id, {})[ended] = wait
        self._read_soon([wait.process_id])
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._keep_reading())
        try:
            async with asyncio.timeout(wait.timeout):
                return await ended
        except TimeoutError:
            raise wait.overdue(self._outages) from None
        finally:
            self._forget(wait.process_id, ended)

    async def aclose(self) -> None:
        """End the subscription, and every wait with an error."""
        self._fail(self._waits, closed())
        tasks = [task for task in (self._reader, self._listener) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, process_id: str, ended: asyncio.Future[ProcessRecord]) -> None:
        waits = self._waits[process_id]
        del waits[ended]
        if not waits:
            del self._waits[process_id]
            self._due.pop(process_id, None)
            self._news.set()

    def _read_soon(self, process_ids: Iterable[str]) -> None:
        self._due.update(dict.fromkeys(process_ids))
        self._news.set()

    async def _keep_reading(self) -> None:
        """Read what is due, and everything now and then, as long as anybody waits."""
        loop = asyncio.get_running_loop()
        reread_at = loop.time() + until_reread_s()
        while self._waits:
            if loop.time() >= reread_at:
                self._read_soon(self._waits)
                reread_at = loop.time() + until_reread_s()
            if self._due:
                await self._read(list(islice(self._due, MAX_BATCH)))
                continue
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(reread_at):
                    await self._news.wait()

    async def _read(self, process_ids: list[str]) -> None:
        for process_id in process_ids:
            del self._due[process_id]  # before the read: what is said meanwhile makes it due again
        try:
            rows = await self._registry.watch(process_ids, self._name)
        except RegistryUnavailable as outage:
            self._outages.append(outage)
            self._read_soon(process_id for process_id in process_ids if process_id in self._waits)
            await sleep(after_outage_s(len(self._outages)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers' to hear
            self._fail(process_ids, error)
        else:
            self._outages.clear()
            for process_id, row in zip(process_ids, rows, strict=True):
                self._tell(process_id, row)
            self._listen()

    def _tell(self, process_id: str, row: Row | None) -> None:
        for ended, wait in self._waits.get(process_id, {}).items():
            if ended.done():
                continue
            try:
                record = wait.judge(row)
            except Exception as error:  # noqa: BLE001 - the same
                ended.set_exception(error)
            else:
                if record is not None:
                    ended.set_result(record)

    def _fail(self, process_ids: Iterable[str], error: Exception) -> None:
        for process_id in process_ids:
            for ended in self._waits.get(process_id, {}):
                if not ended.done():
                    ended.set_exception(error)

    def _listen(self) -> None:
        if self._listener is not None and not self._listener.done():
            return
        if all(ended.done() for waits in self._waits.values() for ended in waits):
            return  # the read found every end: no need to hear of one
        self._listener = asyncio.create_task(listen(self._registry, self._name, self._heard, self._subscribed))

    def _heard(self, _partition: int, text: str) -> None:
        process_id = ended_id(text)
        if process_id in self._waits:
            self._read_soon([process_id])

    def _subscribed(self) -> None:
        self._read_soon(self._waits)


class BlockingWaiting:
    """The same for plain code: one listening thread for all, and each waiting thread reads for itself.

    A read of a server that hangs may outlast the wait's timeout, by the registry's attempts and their timeouts.
    """

    def __init__(self, registry: BlockingRegistry) -> None:
        self._registry = registry
        self._name = random_token()
        self._changing = threading.Condition()
        self._waits: dict[str, list[threading.Event]] = {}
        self._stopped = threading.Event()
        self._listener: threading.Thread | None = None

    def end_of(self, wait: Wait) -> ProcessRecord:
        """Return the record of a process that has ended, as soon as it has; errors as ``Waiting.end_of``."""
        deadline_ms = None if wait.timeout is None else boottime_ms() + wait.timeout * 1000
        with self._news_of(wait.process_id) as news:
            outages: list[RegistryUnavailable] = []
            while True:
                news.clear()  # before the read: what is said meanwhile asks for another
                pause_s = until_reread_s()
                try:
                    row = self._registry.watch([wait.process_id], self._name)[0]
                except RegistryUnavailable as outage:
                    outages.append(outage)
                    pause_s = after_outage_s(len(outages))
                else:
                    outages.clear()
                    record = wait.judge(row)
                    if record is not None:
                        return record
                    self._listen()
                if deadline_ms is not None:
                    left_s = (deadline_ms - boottime_ms()) / 1000
                    if left_s <= 0:
                        raise wait.overdue(outages)
                    pause_s = min(pause_s, left_s)
                news.wait(pause_s)
                if self._stopped.is_set():
                    raise closed()

    def close(self) -> None:
        """End the subscription, and every wait with an error."""
        self._stopped.set()
        self._subscribed()
        with self._changing:  # nobody should be reading when the connections are closed next
            self._changing.wait_for(lambda: not self._waits, _LEAVING_S)

    @contextlib.contextmanager
    def _news_of(self, process_id: str) -> Iterator[threading.Event]:
        news = threading.Event()
        with self._changing:
            self._waits.setdefault(process_id, []).append(news)
        try:
            yield news
        finally:
            with self._changing:
                waits = self._waits[process_id]
                waits.remove(news)
                if not waits:
                    del self._waits[process_id]
                    self._changing.notify_all()

    def _listen(self) -> None:
        with self._changing:
            # A thread does not live on in a child made by os.fork, so that it is asked, not assumed.
            if self._stopped.is_set() or (self._listener is not None and self._listener.is_alive()):
                return
            self._listener = threading.Thread(
                target=listen_blocking,
                args=(self._registry, self._name, self._heard, self._subscribed, self._stopped),
                name="lash-redis-listener",
                daemon=True,
            )
            self._listener.start()

    def _heard(self, _partition: int, text: str) -> None:
        with self._changing:
            for news in self._waits.get(ended_id(text), ()):
                news.set()

    def _subscribed(self) -> None:
        with self._changing:
            for waits in self._waits.values():
                for news in waits:
                    news.set()
