"""The model of docs/scaling.md: what workers cost a server, or each primary of a cluster. Pure.

It adds what each kind of call costs. ``benchmarks.scale`` measures that, and holds the model against a cluster with a
thousand owners; ``benchmarks.scaling_page`` writes the page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SWEEP_S, POLL_S, RENEW_S = 5.0, 7.5, 10.0  # between two sweeps, two slow polls, two renewals, unless set
REST_S = 40.0  # between two claims where sweeps see that nothing waits; they must come more often than the polls
PER_POOL = 16  # worker processes of one supervisor
MAX_CLIENTS = 10_000  # what a server takes unless it is told otherwise
MOST_SHARE = 0.7  # of a core: above, answers become late


@dataclass(frozen=True)
class Constants:
    """What was measured: server CPU in µs, connections of a worker process, bytes of a queued row."""

    glance: float
    glance_held: float
    holders: float
    holder: float
    claim: float
    renewal: float
    renewed_owner: float
    lease: float
    process: float
    connections: float
    row_bytes: float


@dataclass(frozen=True)
class Fleet:
    """Workers, each with so many leases, that run so many processes a second; and where their rows lie."""

    workers: int
    partitions: int = 1
    primaries: int = 1
    leases: int = 8
    rate: float = 0.0
    sweep_s: float = SWEEP_S
    poll_s: float = POLL_S
    per_pool: int = PER_POOL


@dataclass(frozen=True)
class Load:
    """Of each primary: shares of its core by cause, connections."""

    sweeps: float
    polls: float
    renewals: float
    work: float
    connections: float

    @property
    def fixed(self) -> float:
        """The share of a core that the workers take before any work is done."""
        return self.sweeps + self.polls + self.renewals

    @property
    def cpu(self) -> float:
        """The share of a core."""
        return self.fixed + self.work

    @property
    def first_bottleneck(self) -> str:
        """What ends first as there are more workers."""
        causes = {"sweeps": self.sweeps, "polls": self.polls, "renewals": self.renewals, "work": self.work}
        if self.connections / MAX_CLIENTS > self.cpu / MOST_SHARE:
            return f"connections ({self.connections:,.0f})"
        cause = max(causes, key=lambda name: causes[name])
        return f"server CPU, {cause}"


def owners_near(fleet: Fleet) -> float:
    """Return how many owners of one machine hold something in one partition, if their rows are spread evenly."""
    return min(fleet.workers, fleet.per_pool) * (1 - (1 - 1 / fleet.partitions) ** fleet.leases)


def load(fleet: Fleet, each: Constants) -> Load:
    """Return the load of each primary."""
    owners = owners_near(fleet)
    glance = each.glance_held + each.holders + each.holder * owners if owners else each.glance
    asked = fleet.workers * fleet.partitions
    renewals = (asked / fleet.per_pool * each.renewal + asked * each.renewed_owner) / RENEW_S
    renewals += fleet.workers * fleet.leases * each.lease / RENEW_S
    core = 1e-6 / fleet.primaries
    return Load(
        sweeps=core * asked * glance / fleet.sweep_s,
        polls=core * asked * each.claim / (REST_S if fleet.sweep_s < fleet.poll_s else fleet.poll_s),
        renewals=core * renewals,
        work=core * fleet.rate * each.process,
        connections=fleet.workers * each.connections,
    )


def room(fleet: Fleet, each: Constants) -> float:
    """Return how many processes a second may run beside what the workers take."""
    left = MOST_SHARE - load(replace(fleet, rate=0), each).fixed
    return max(left, 0.0) * fleet.primaries * 1e6 / each.process


def most_workers(fleet: Fleet, each: Constants) -> int:
    """Return how many workers take half of what a core is to be loaded with, so that the other half is for work."""
    least, most = 1, 1_000_000
    while least < most:
        middle = (least + most + 1) // 2
        if load(replace(fleet, workers=middle, rate=0), each).fixed <= MOST_SHARE / 2:
            least = middle
        else:
            most = middle - 1
    return least
