"""Wake-ups: what a worker does with what is published to it (rules 9.3 and 9.4)."""

from __future__ import annotations

from collections.abc import Callable

from lash_redis.core.timing import boottime_ms, jittered, sleep
from lash_redis.core.trouble import SURVIVED, Trouble
from lash_redis.registry.listening import listen
from lash_redis.registry.messages import DueEarlier, LaneFilled, Requested, ToldDead, read_message
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.changes import Changes
from lash_redis.worker.claimer import ASK_AGAIN_S
from lash_redis.worker.inflight import InFlight
from lash_redis.worker.lanes import PAUSE_MS
from lash_redis.worker.loops.claiming import Claiming
from lash_redis.worker.loops.looking import Looking
from lash_redis.worker.services import Service


class WakeUps:
    """Handles the messages of one worker's subscription.

    Args:
        registry: where a wake-up is passed on.
        in_flight: what runs here.
        claiming: whether this worker may claim.
        changes: notified when there is something to claim.
        looking: looks at lanes of other releases.
        start: runs a coroutine beside the work.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        in_flight: InFlight,
        claiming: Claiming,
        changes: Changes,
        *,
        looking: Looking,
        start: Callable[[Service], None],
    ) -> None:
        self._registry = registry
        self._in_flight = in_flight
        self._claimer = in_flight.claimer
        self._claiming = claiming
        self._looking = looking
        self._changes = changes
        self._start = start
        self._trouble = Trouble("wake")
        self._look_at_ms: dict[int, int] = {}  # by partition: when the next look is due after a wake-up
        self._will_look: set[int] = set()
        self.is_subscribed = False

    def subscribed(self) -> None:
        """Ask every partition: what was published before the subscription stood is lost."""
        self._trouble.over()
        self.is_subscribed = True
        self._claimer.ask_all()
        self._changes.notify()
        self._start(self._look())

    async def listen(self, name: str) -> None:
        """Receive what is published for ``name``, for ever. Ends by cancellation."""
        while True:
            try:
                await listen(self._registry, name, self.received, self.subscribed)
            except SURVIVED as error:  # a worker that hears nothing polls, and listens again
                await sleep(self._trouble.met(error))

    def received(self, partition: int, text: str) -> None:
        """Handle one message: a request, a lane that has rows, or what the next claim tells more of."""
        try:
            match read_message(text):
                case Requested(process_id):
                    self._in_flight.requests.look_at(process_id)
                case LaneFilled(lane):
                    self._lane_filled(partition, lane)
                case DueEarlier() | ToldDead():
                    self._claimer.ask(partition)  # its answer says when to claim again, or that it is stale
                    self._changes.notify()
        except SURVIVED as error:  # one message that cannot be handled costs no other
            self._trouble.met(error)

    def _lane_filled(self, partition: int, lane: str) -> None:
        is_served = self._in_flight.serves(lane) and not self._claimer.is_leaving
        if is_served:
            # Also while this worker may not claim: there may be no other to pass the wake-up on to.
            self._claimer.ask(partition)
            self._changes.notify()
        if not is_served or not self._claiming.may_claim_from(partition):
            self._start(self._pass_on(partition, lane))

    async def _pass_on(self, partition: int, lane: str) -> None:
        """Wake another worker: it may serve the lane that this one cannot serve, or not now."""
        lanes = self._in_flight.lanes
        is_of_another_release = lanes.is_of_another_release(lane)
        try:
            await self._registry.wake(partition, lane)
            if lanes.may_adopt(lane):
                await self._looking.look_at(partition, lane)
        except SURVIVED as error:  # whoever polls finds the row
            self._trouble.met(error)
        # The wake-up removed this worker from the idle set, and its next claim lists it again. That claim comes a
        # little later, so that the worker is not woken for the same row again.
        await sleep(jittered(ASK_AGAIN_S, 0.5))
        if is_of_another_release:
            await self._look_again(partition)  # what filled other such lanes meanwhile has woken nobody
        self._claimer.ask(partition)
        self._changes.notify()

    async def _look_again(self, partition: int) -> None:
        """Look now, or once that is due: one look finds what many wake-ups named."""
        wait_ms = self._look_at_ms.get(partition, 0) - boottime_ms()
        if wait_ms <= 0:
            self._look_at_ms[partition] = boottime_ms() + PAUSE_MS
            await self._look(partition)
        elif partition not in self._will_look:
            self._will_look.add(partition)
            self._start(self._look_later(partition, wait_ms))

    async def _look_later(self, partition: int, wait_ms: int) -> None:
        try:
            await sleep(wait_ms / 1000)
        finally:
            self._will_look.discard(partition)
        self._look_at_ms[partition] = boottime_ms() + PAUSE_MS
        await self._look(partition)

    async def _look(self, partition: int | None = None) -> None:
        try:
            await self._looking.look(partition)
        except SURVIVED as error:  # the next look finds the same
            self._trouble.met(error)
