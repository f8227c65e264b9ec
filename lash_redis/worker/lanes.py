"""The lanes that one worker serves: its own, and those of other releases of its tasks, as far as it can (rule 9.7).

Rows of another signature are run if their arguments can be bound by name and decoded here. The first one of a lane of
which that is not true is given back, and this worker leaves the lane to other releases for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lash_redis.core.errors import SettingsError
from lash_redis.core.events import WorkerLeftLane
from lash_redis.core.lanes import lane as lane_of
from lash_redis.core.lanes import lane_parts, plain_lane
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


class Lanes:
    """What one worker serves.

    Args:
        catalogue: the tasks.
        queues: the queues' names, in their order.

    Attributes:
        served: the lanes that the next claim names.
        beginnings: what the names of all lanes of its tasks begin with.
    """

    def __init__(self, catalogue: Catalogue, queues: Iterable[str]) -> None:
        self._catalogue = catalogue
        self._queues = tuple(queues)
        self._own = dict(zip(self._queues, catalogue.lanes(self._queues), strict=True))
        self._adopted: dict[str, int] = {}  # by lane, when it was last seen with rows
        self._left: set[str] = set()
        self._signatures: dict[str, BareParameters] = {}
        self._named: dict[str, Mapping[str, bytes]] = {}
        self.beginnings: list[str] = []
        for queue in self._queues:
            for each in catalogue.declarations:
                self.beginnings.append(f"{queue}|{each.name}|")
                self._named[lane_of(queue, each.name, each.signature.digest)] = each.signature.named
        self._serve()

    def serves(self, lane: str) -> bool:
        """Say whether claims are made from a lane."""
        return plain_lane(lane) in self._served

    def is_of_another_release(self, lane: str) -> bool:
        """Say whether a lane that is not served holds rows of a task that is known here."""
        try:
            queue, task, _ = lane_parts(lane)
        except SettingsError:  # a newer release names lanes in another way
            return False
        return not self.serves(lane) and queue in self._own and self._catalogue.find(task) is not None

    def may_adopt(self, lane: str) -> bool:
        """Say whether such a lane is one to look at: it was not left."""
        return plain_lane(lane) not in self._left and self.is_of_another_release(lane)

    def adopt(self, found: Mapping[str, bytes]) -> bool:
        """Serve those lanes of other releases from which a row may run here; return whether one is new.

        Args:
            found: lanes that have rows, each with the parameters of its signature (empty: nobody has named them).
        """
        now_ms, known = boottime_ms(), len(self._adopted)
        for lane, parameters in found.items():
            plain = plain_lane(lane)
            if plain in self._adopted:
                self._adopted[plain] = now_ms
            elif parameters and self.may_adopt(lane) and len(self._adopted) < MOST_ADOPTED:
                self._judge(plain, parameters, now_ms)
        if len(self._adopted) == known:
            return False
        self._serve()
        return True

    def drop_empty(self) -> None:
        """Serve no more what has been empty for long; to be called after every partition was looked at."""
        oldest_ms = boottime_ms() - EMPTY_MS
        if empty := [lane for lane, seen_ms in self._adopted.items() if seen_ms <= oldest_ms]:
            for lane in empty:
                del self._adopted[lane]
            self._serve()

    def unnamed(self, found: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the signatures of this worker's tasks of which there are rows, and which nobody has named."""
        lacking = [plain_lane(lane) for lane, parameters in found.items() if not parameters]
        return {digest: data for lane in lacking for digest, data in self._named.get(lane, {}).items()}

    def written_for(self, declaration: Declaration, digest: str) -> BareParameters | None:
        """Return the other signature that rows of a digest were written for; None if they are bound as they stand.

        Raises:
            KeyError: it is not known here.
        """
        return None if digest in declaration.signature.served else self._signatures[digest]

    def leave(self, lane: str, reason: str, process_id: str | None = None) -> None:
        """Leave a lane to other releases from now on, and report it."""
        plain = plain_lane(lane)
        self._adopted.pop(plain, None)
        if plain in self._left:
            return
        self._left.add(plain)
        self._serve()
        queue, task, digest = lane_parts(lane)
        emit(WorkerLeftLane(task=task, queue=queue, signature=digest, reason=reason, process_id=process_id))

    def _judge(self, lane: str, parameters: bytes, now_ms: int) -> None:
        _, task, digest = lane_parts(lane)
        theirs = readable("signature", digest, lambda: decode_parameters(parameters))
        declaration = self._catalogue.find(task)
        if theirs is None or declaration is None:
            return
        if reason := cannot_bind(declaration.signature, theirs):
            self.leave(lane, reason)
        else:
            self._signatures[digest] = theirs
            self._adopted[lane] = now_ms

    def _serve(self) -> None:
        adopted = {queue: [lane for lane in self._adopted if lane_parts(lane)[0] == queue] for queue in self._queues}
        lanes = {
            queue: [lane for lane in (*own, *adopted[queue]) if lane not in self._left]
            for queue, own in self._own.items()
        }
        self._served = frozenset(lane for each in lanes.values() for lane in each)
        self.served = ServedLanes(list(lanes.items()))
