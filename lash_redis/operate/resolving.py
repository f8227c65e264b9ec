"""Say what became of abandoned processes: record a resolution for each, and report which one stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import msgspec

from lash_redis.core.errors import RegistryError
from lash_redis.core.outcomes import Resolution
from lash_redis.operate.row_views import Plain
from lash_redis.recovery.living_starters import check_may_resolve
from lash_redis.registry.registry import ProcessRegistry


class ResolveReport(msgspec.Struct, frozen=True):
    """What became of one resolution.

    Attributes:
        process_id: of the process.
        recorded: the resolution was recorded now (False: an earlier one stands, or it was refused).
        resolution: the one that stands: the first one that was made; None if it was refused.
        refused: why it was refused; empty if it was not.
    """

    process_id: str
    recorded: bool
    resolution: Resolution | None = None
    refused: str = ""

    def says_otherwise(self, asked: Resolution) -> bool:
        """Say whether an earlier resolution stands that is another one, by kind or value, whoever made it and when."""
        stands = self.resolution
        return stands is not None and (stands.kind, stands.value) != (asked.kind, asked.value)


async def resolve(
    registry: ProcessRegistry, process_ids: Sequence[str], resolution: Resolution, *, force: bool = False
) -> list[ResolveReport]:
    """Record the same resolution for each process. One that is refused (it is not abandoned) stops no other.

    While the starter of one is alive on this machine, only ``force`` says that it did not happen, or will stay unknown.
    """
    reports = []
    for process_id in process_ids:
        try:
            if not force:
                check_may_resolve(await registry.row(process_id), resolution)
            stands = (await registry.resolve(process_id, resolution)).resolution
            reports.append(ResolveReport(process_id, stands == resolution, stands))
        except RegistryError as error:
            reports.append(ResolveReport(process_id, recorded=False, refused=str(error)))
    return reports


class ResolveView(TypedDict):
    """What became of one resolution."""

    id: str
    recorded: bool
    resolution: Plain | None  # kind, by, at_ms, reason, value
    refused: str | None


def resolve_view(report: ResolveReport) -> ResolveView:
    """Return what became of one resolution."""
    return {
        "id": report.process_id,
        "recorded": report.recorded,
        "resolution": msgspec.to_builtins(report.resolution),
        "refused": report.refused or None,
    }
