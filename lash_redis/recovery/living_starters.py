"""Whether what was abandoned may still be done by its starter, as far as this machine can read (rule 1.8).

``abandoned`` by a request ends the row, and no work: a starter that was only silent goes on with it. To do the same
work again beside it would do it twice.
"""

from __future__ import annotations

from collections.abc import Callable

from lash_redis.core.checks import checked_bool
from lash_redis.core.errors import StarterAlive
from lash_redis.core.liveness import LeaseOwner, LocalProcess, node_name
from lash_redis.core.model import ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import Abandoned, Resolution, ResolutionKind
from lash_redis.core.timing import new_incarnation_id
from lash_redis.registry.rows import Row

_MAY_BE_DONE_AGAIN = (ResolutionKind.DID_NOT_HAPPEN, ResolutionKind.ACCEPTED)


def this_os_process() -> LeaseOwner:
    """Return an owner that is this OS process, to ask about others."""
    return LeaseOwner.local_process("lash-redis", new_incarnation_id())


def leaves_work_open(row: Row) -> bool:
    """Say whether a row was abandoned without a word of its starter, and is owner-bound work."""
    if row.status is not ProcessStatus.ABANDONED or row.disposition is not RecoveryDisposition.OWNER_BOUND:
        return False
    outcome = row.record().outcome
    return row.starter is not None and not (isinstance(outcome, Abandoned) and outcome.evidence.proof == "ended_here")


def why_not_yet(row: Row, me: LeaseOwner) -> str:
    """Return why the work of a row is not to be done again yet, empty if nothing is known against it."""
    starter = row.starter
    if starter is None or not leaves_work_open(row) or not starter.is_definitely_alive_for(me):
        return ""
    assert isinstance(starter.liveness, LocalProcess)  # noqa: S101 - what is alive has a pid
    return f"its starter {starter.owner_id} is alive (pid {starter.liveness.pid} of {node_name()}) and may still do it"


def why_not_replayed(*, force: bool) -> Callable[[Row], str] | None:
    """Return what says why an abandoned row is not to be submitted again yet; by force there is no such reason."""
    me = this_os_process()
    return None if checked_bool("force", force) else lambda row: why_not_yet(row, me)


def check_may_resolve(row: Row | None, resolution: Resolution) -> None:
    """Refuse to say that work did not happen, or that nobody will look, while its starter may still do it.

    Raises:
        StarterAlive: it is provably alive on this machine.
    """
    if row is None or row.is_resolved or resolution.kind not in _MAY_BE_DONE_AGAIN:
        return
    row.check()
    if why := why_not_yet(row, this_os_process()):
        raise StarterAlive(row.process_id, why)
