"""Errors of processes that are to wait for others."""

from __future__ import annotations

from lash_redis.core.errors import RegistryError


class CannotAwait(RegistryError):
    """The process cannot wait for another one; nothing was registered. ``other`` is that one's id."""

    def __init__(self, process_id: str, other: str, why: str) -> None:
        self.other = other
        super().__init__(process_id, f"process {process_id!r} cannot wait for {other!r}: {why}")


class CannotJoinGroup(RegistryError):
    """The process cannot be a member of the group; nothing was registered. ``group`` is the id of its continuation."""

    def __init__(self, process_id: str, group: str, why: str) -> None:
        self.group = group
        super().__init__(process_id, f"process {process_id!r} cannot be a member of group {group!r}: {why}")
