"""Under which owner one OS process acts (rule 2.8).

An owner that is a local process names its pid, and others take it for dead once that pid has gone. So an identity is
minted by the OS process that acts under it. A fork copies everything, and the copy must not act as the original.
"""

from __future__ import annotations

import os

from lash_redis.core.errors import ForkedCopy, SettingsError
from lash_redis.core.forks import THIS_PROCESS
from lash_redis.core.liveness import LeaseOwner, LocalProcess, node_name, own_liveness
from lash_redis.core.timing import new_incarnation_id


def default_owner(slot: str = "embedded") -> LeaseOwner:
    """Return an owner of this OS process: named after the machine and a slot, with an incarnation of its own."""
    return LeaseOwner.local_process(f"{node_name()}/{slot}", new_incarnation_id())


class Identity:
    """An owner, and the OS process that may act under it: the one that made this object.

    Raises:
        SettingsError: the owner is a local process, and not this one.
    """

    def __init__(self, owner: LeaseOwner) -> None:
        _check_is_this_process(owner)
        self.owner = owner
        self.pid = THIS_PROCESS.pid

    def is_here(self) -> bool:
        """Say whether this is the OS process that may act under the owner."""
        return THIS_PROCESS.pid == self.pid

    def check(self) -> None:
        """Refuse to act in a forked copy.

        Raises:
            ForkedCopy: this is not the OS process that may act under the owner.
        """
        if THIS_PROCESS.pid != self.pid:
            raise ForkedCopy(
                f"OS process {os.getpid()} was forked from {self.pid}, in which the worker "
                f"{self.owner.owner_id} runs, and may do nothing in its name"
            )


def _check_is_this_process(owner: LeaseOwner) -> None:
    """Refuse an owner whose pid others would look for in vain, or find to be another's: a false proof of death."""
    given, own = owner.liveness, own_liveness()
    if not isinstance(given, LocalProcess):
        return
    is_same_start = not isinstance(own, LocalProcess) or (given.boot_id, given.process_start) == (
        own.boot_id, own.process_start,
    )  # fmt: skip
    if given.pid != os.getpid() or not is_same_start:
        raise SettingsError(
            f"expected owner to be of this OS process ({os.getpid()}), got one of {given.pid}: "
            "make the owner in the OS process that acts under it, or give none"
        )
