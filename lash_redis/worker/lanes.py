"""The lanes that one worker serves: its own, and those of other releases of its tasks, as far as it can (rule 9.7).

Rows of another signature are run if their arguments can be bound by name and decoded here. The first one of a lane of
which that is not true is given back, and this worker leaves the lane to other releases for a while. Then it looks
again: what is behind that row may be readable, and somebody may have cancelled it.

Each list of lanes that a claim names is stored whole. So this worker makes one at once if it has made none for
``PAUSE_MS``, and else one after that time, for all that has changed until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from lash_redis.core.errors import SettingsError
from lash_redis.core.events import WorkerLanesFull, WorkerLeftLane
from lash_redis.core.lanes import lane as lane_of
from lash_redis.core.lanes import lane_parts, plain_lane, unkeyed
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import boottime_ms
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.registry.unreadable import readable
from lash_redis.tasks.bare_parameters import BareParameters, decode_parameters
from lash_redis.tasks.catalogue import Catalogue
from lash_redis.tasks.declaration import Declaration
from lash_redis.tasks.other_signatures import cannot_bind

MOST_ADOPTED: Final = 1000
EMPTY_MS: Final = 600_000  # an adopted lane that is empty for so long is dropped; it is adopted anew if need be
PAUSE_MS: Final = 2_000  # between two new lists of lanes, at least
LEFT_MS: Final = 60_000  # for how long a lane is left; each time twice as long
LEFT_AT_MOST_MS: Final = 600_000
_MOST_KNOWN: Final = 10_000  # signatures, and lanes that were left: a worker may live through that many releases


class _Left(msgspec.Struct, frozen=True):
    """A lane that was left: until when (None: for ever, no row of it can be bound), and for how long."""

    until_ms: int | None
    for_ms: int


class Lanes:
    """What one worker serves.

    Args:
        catalogue: the tasks.
        queues: the queues' names, in their order.

    Attributes:
        served: the lanes that the next claim names.
        due_ms: when a new list of them is to be made (boot-time clock, ms); None if nothing has changed.
        beginnings: what the names of all lanes of its tasks begin with.
        policies: what its tasks may not exceed.
    """

    def __init__(self, catalogue: Catalogue, queues: Iterable[str]) -> None:
        self._catalogue = catalogue
        self._queues = tuple(queues)
        self._own = dict(zip(self._queues, catalogue.lanes(self._queues), strict=True))
        self._adopted: dict[str, int] = {}  # by lane, when it was last seen with rows; in the order of that
        self._left: dict[str, _Left] = {}
        self._signatures: dict[str, BareParameters] = {}
        self._named: dict[str, Mapping[str, bytes]] = {}
        self._looked_ms = self._made_ms = boottime_ms() - PAUSE_MS
        self._is_full = False
        self.due_ms: int | None = None
        self.beginnings: list[str] = []
        self.policies = catalogue.policies
        for queue in self._queues:
            for name, each in catalogue.by_name.items():
                self.beginnings.append(f"{queue}|{name}|")
                self._named[lane_of(queue, name, each.signature.digest)] = each.signature.named
        self._serve(())

    def serves(self, lane: str) -> bool:
        """Say whether claims are made from a lane."""
        return plain_lane(lane) in self._served

    def is_of_another_release(self, lane: str) -> bool:
        """Say whether a lane that is not served holds rows of a task that is known here."""
        return not self.serves(lane) and self._is_of_known_task(lane)

    def may_adopt(self, lane: str) -> bool:
        """Say whether such a lane is one to look at: it is neither adopted nor left."""
        plain = plain_lane(lane)
        if self._is_left(plain) or plain in self._adopted or not self._is_of_known_task(plain):
            return False
        return not self._is_own(plain)

    def adopt(self, found: Mapping[str, bytes]) -> bool:
        """Serve those lanes of other releases from which a row may run here; return whether a new list was made.

        Args:
            found: lanes that have rows, each with the parameters of its signature (empty: nobody has named them).
        """
        now_ms, has_new = boottime_ms(), False
        for plain in map(plain_lane, found):
            if self._adopted.pop(plain, None) is not None:
                self._adopted[plain] = now_ms
        for lane, parameters in found.items():
            if parameters and self.may_adopt(lane):
                has_new = self._judge(plain_lane(lane), parameters, now_ms) or has_new
        return has_new and self._change()

    def looked(self, since_ms: int) -> None:
        """Note that every partition was looked at since a time.

        What has been empty for long is served no more, and what is no longer left of the worker's own lanes is again.
        """
        self._looked_ms = since_ms
        oldest_ms = boottime_ms() - EMPTY_MS
        empty = [lane for lane, seen_ms in self._adopted.items() if seen_ms <= oldest_ms]
        for lane in empty:
            del self._adopted[lane]
        if empty or any(
            self._is_own(lane) and not self._is_left(lane) and not self.serves(lane) for lane in self._left
        ):
            self._change()

    def renew(self, *, at_once: bool = False) -> bool:
        """Make the new list of lanes if it is due, or something has changed and ``at_once``; return whether it did."""
        if self.due_ms is None or (boottime_ms() < self.due_ms and not at_once):
            return False
        self.due_ms, self._made_ms = None, boottime_ms()
        self._serve(self._adopted)
        return True

    def unnamed(self, found: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the signatures of this worker's tasks of which there are rows, and which nobody has named."""
        lacking = [plain_lane(lane) for lane, parameters in found.items() if not parameters]
        return {digest: data for lane in lacking for digest, data in self._named.get(unkeyed(lane), {}).items()}

    def written_for(self, declaration: Declaration, digest: str) -> BareParameters | None:
        """Return the other signature that rows of a digest were written for; None if they are bound as they stand.

        Raises:
            KeyError: it is not known here.
        """
        return None if digest in declaration.signature.served else self._signatures[digest]

    def leave(self, lane: str, reason: str, process_id: str | None = None) -> None:
        """Leave a lane to other releases for a while, because of one row, or for ever (None); report it."""
        plain = plain_lane(lane)
        self._adopted.pop(plain, None)
        if self._is_left(plain):
            return
        before = self._left.pop(plain, None)
        if len(self._left) >= _MOST_KNOWN:  # it is adopted anew, and left again, if it still has rows
            del self._left[next(iter(self._left))]
        for_ms = LEFT_MS if before is None else min(2 * before.for_ms, LEFT_AT_MOST_MS)
        self._left[plain] = _Left(None if process_id is None else boottime_ms() + for_ms, for_ms)
        if plain in self._served:
            self._serve(())  # this list is stored already: no others' lanes until the next one is made
            self._change()
        queue, task, digest = lane_parts(lane)
        emit(WorkerLeftLane(task=task, queue=queue, signature=digest, reason=reason, process_id=process_id))

    def _is_left(self, lane: str) -> bool:
        left = self._left.get(lane)
        return left is not None and (left.until_ms is None or boottime_ms() < left.until_ms)

    def _is_own(self, lane: str) -> bool:
        return lane in self._own[lane_parts(lane)[0]]

    def _is_of_known_task(self, lane: str) -> bool:
        try:
            queue, task, _ = lane_parts(lane)
        except SettingsError:  # a newer release names lanes in another way
            return False
        return queue in self._own and self._catalogue.find(task) is not None

    def _judge(self, lane: str, parameters: bytes, now_ms: int) -> bool:
        """Adopt a lane if a row of it may run here; return whether it was adopted."""
        _, task, digest = lane_parts(lane)
        theirs = readable("signature", digest, lambda: decode_parameters(parameters))
        declaration = self._catalogue.find(task)
        if theirs is None or declaration is None:
            return False
        if reason := cannot_bind(declaration.signature, theirs):
            self.leave(lane, reason)
            return False
        if not self._has_room():
            return False
        self._adopted[lane] = now_ms
        self._signatures[digest] = theirs
        if len(self._signatures) > _MOST_KNOWN:
            needed = {lane_parts(each)[2] for each in self._adopted}
            self._signatures = {each: known for each, known in self._signatures.items() if each in needed}
        return True

    def _has_room(self) -> bool:
        """Make room for one more lane if need be: the one that has been empty for the longest goes."""
        if len(self._adopted) < MOST_ADOPTED:
            return True
        longest, seen_ms = next(iter(self._adopted.items()))
        if seen_ms < self._looked_ms:
            del self._adopted[longest]
            return True
        if not self._is_full:
            self._is_full = True
            emit(WorkerLanesFull(lanes=MOST_ADOPTED))
        return False

    def _change(self) -> bool:
        if self.due_ms is None:
            self.due_ms = max(boottime_ms(), self._made_ms + PAUSE_MS)
        return self.renew()

    def _serve(self, others: Iterable[str]) -> None:
        lanes = {queue: [lane for lane in own if not self._is_left(lane)] for queue, own in self._own.items()}
        for lane in others:
            lanes[lane_parts(lane)[0]].append(lane)
        self._served = frozenset(lane for each in lanes.values() for lane in each)
        self.served = ServedLanes(list(lanes.items()))
