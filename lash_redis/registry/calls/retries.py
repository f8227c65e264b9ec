"""Ending runs that are to be made again later. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lash_redis.registry.answers import RetriedRun
from lash_redis.registry.calls.batches import batched, checked_batch
from lash_redis.registry.calls.call import ATTEMPTS, Argument, Call, Namespace, Steps
from lash_redis.registry.calls.leases import attempt_of, one_owner
from lash_redis.registry.codec import encode_outcome


def retry_many(namespace: Namespace, runs: Sequence[RetriedRun], *, attempts: int = ATTEMPTS) -> Steps[list[str]]:
    """End runs of one owner that are to be made again; return one status word each.

    ``DONE``: it is delayed. ``FAILED``: it has had all its runs, and the failure is its outcome. ``CANCELLED``: someone
    asked for a stop. ``LOST``: the lease lapsed and the row still names it, or a later one of this owner under which
    nothing has begun: claim it again, and send this again.
    ``STALE``, ``UNKNOWN``, ``TERMINAL``, ``AUTHORITY``: nothing is left to do under this lease. The same run sent again
    is answered as done, whatever has become of the row since.
    """
    encoded = [_encoded(run, namespace.max_payload_bytes) for run in runs]

    def call(partition: int, batch: Sequence[tuple[RetriedRun, bytes]]) -> Call[list[str]]:
        names = [attempt_of(run.lease) for run, _ in batch]
        checked_batch("runs", names)
        args: list[Argument] = [one_owner([run.lease for run, _ in batch])]
        for name, (run, failure) in zip(names, batch, strict=True):
            args += (*name, run.again.wait_ms, _most(run), failure)
        return Call("retry", partition, args, lambda reply: [word.decode() for word in reply[1:]], attempts=attempts)

    return batched(namespace, encoded, lambda each: each[0].lease.process_id, call, bytes_of=lambda each: len(each[1]))


def _most(run: RetriedRun) -> int | str:
    if not run.again.counts:
        return 0
    return "" if run.again.attempts is None else run.again.attempts


def _encoded(run: RetriedRun, max_payload_bytes: int) -> tuple[RetriedRun, bytes]:
    return run, encode_outcome(run.failure, max_payload_bytes)[1] if run.again.counts else b""
