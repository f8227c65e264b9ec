"""The parts of one worker, by name: for tests, and for views of a living worker."""

from __future__ import annotations

from dataclasses import dataclass

from lash_redis.recovery.sweep import Sweep
from lash_redis.worker.attempt import Attempt
from lash_redis.worker.changes import Changes
from lash_redis.worker.inflight import InFlight
from lash_redis.worker.loops.claiming import Claiming
from lash_redis.worker.loops.looking import Looking
from lash_redis.worker.wakeups import WakeUps


@dataclass(frozen=True, slots=True)
class Probe:
    """What can be seen, and held back, inside a worker from outside."""

    in_flight: InFlight
    claiming: Claiming
    wake_ups: WakeUps
    looking: Looking
    sweep: Sweep
    changes: Changes

    @property
    def running(self) -> int:
        """How many runs have not ended."""
        return self.in_flight.roster.running

    @property
    def unfinished(self) -> int:
        """How many attempts run or have a result that is not yet written."""
        return len(self.in_flight.roster)

    @property
    def is_at_rest(self) -> bool:
        """It hears wake-ups, every claim was answered, and no partition may have more."""
        claimer = self.in_flight.claimer
        return self.wake_ups.is_subscribed and not claimer.may_have_more and not claimer.unanswered

    def attempt(self, process_id: str) -> Attempt | None:
        """Return the attempt at a process, if there is one here."""
        return self.in_flight.roster.get(process_id)
