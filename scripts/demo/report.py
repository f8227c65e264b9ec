"""The report of a run, and the check that every process ended as its declaration demands."""

from __future__ import annotations

import msgspec

from demo.ledger import Ledger
from demo.meanwhile import group_in, limit_in, schedule_in
from demo.run import LEDGER
from lash_redis import Abandoned, AbandonWriter, ProcessRecord, ProcessStatus


class Outcome(msgspec.Struct):
    """The results of a run.

    Attributes:
        measured: the records of the measurements.
        published: the records of the publications, by package.
        approval: the record of the externally owned approval.
        ticks: the records of what the schedule submitted.
        total: the record of the process that continues the group of the measurements.
        killed: the worker processes that were killed.
        pool_exit_codes: of each stop of the pool.
        seconds: how long the work took.
    """

    measured: list[ProcessRecord]
    published: dict[str, ProcessRecord]
    approval: ProcessRecord
    ticks: list[ProcessRecord]
    total: ProcessRecord
    killed: list[int]
    pool_exit_codes: list[int]
    seconds: float


_ENDS = {"reaped": "was seen to end", "ended_here": "stopped it at the end of its drain"}


def report(outcome: Outcome) -> bool:
    """Print what ran, what ran again, and what was abandoned on which evidence; return whether every check holds."""
    ledger = Ledger()
    lines = ledger.names("published")
    done = [record for record in outcome.measured if record.status is ProcessStatus.COMPLETED]
    again = [record for record in outcome.measured if record.losses > 0]
    completed = sum(record.status is ProcessStatus.COMPLETED for record in outcome.published.values())
    abandoned = {
        package: record.outcome.evidence
        for package, record in outcome.published.items()
        if isinstance(record.outcome, Abandoned)
    }
    schedule, limit = schedule_in(outcome.ticks, ledger), limit_in(ledger, len(outcome.killed))
    group = group_in(outcome.measured, outcome.total, ledger)
    print(f"\nmeasured   {len(done)} of {len(outcome.measured)} files in {outcome.seconds:.1f} s "
          f"({len(done) / outcome.seconds:.0f} a second)")  # fmt: skip
    print(f"run again  {len(again)} measurements: their worker process was killed, and they are rerunnable")
    print(f'published  {completed} of {len(outcome.published)}; {lines.total()} lines "published" in {LEDGER}')
    print(f"approved   {outcome.approval.status.value}: it is externally owned, and no worker ran it")
    print(f"abandoned  {len(abandoned)} publications: owner-bound, so that none runs a second time. The evidence:")
    for package, evidence in sorted(abandoned.items(), key=lambda each: each[1].epoch_ms):
        owner = evidence.owner.owner_id if evidence.owner else "nobody"
        line = "it had written its line" if package in lines else "it had written no line"
        print(f"           {package}: its worker {owner} {_ENDS.get(evidence.proof or '', evidence.proof)}"
              f" ({evidence.detail}; written by {evidence.writer.value}); {line}")  # fmt: skip
    print(f"schedule   {schedule.text}")
    print(f"limit      {limit.text}")
    print(f"group      {group.text}")
    writers = {(evidence.writer, evidence.proof) for evidence in abandoned.values()}
    return _all_hold(
        {
            "every file was measured": len(done) == len(outcome.measured),
            "no package was published twice, by the ledger": max(lines.values(), default=0) <= 1,
            "every completed publication has its line": all(
                package in lines
                for package, record in outcome.published.items()
                if record.status is ProcessStatus.COMPLETED
            ),
            "every publication ended": all(record.is_terminal for record in outcome.published.values()),
            "the approval was given": outcome.approval.status is ProcessStatus.COMPLETED,
            "at least one measurement ran again": bool(again),
            "at least one publication was abandoned since its worker process was killed": (
                AbandonWriter.SWEEP,
                "reaped",
            )
            in writers,
            "at least one publication was abandoned by the drain": any(
                writer is AbandonWriter.OWNER_DRAIN for writer, _ in writers
            ),
            "each pool drained and left with exit code 0": set(outcome.pool_exit_codes) == {0},
            **schedule.checks,
            **limit.checks,
            **group.checks,
        }
    )


def _all_hold(checks: dict[str, bool]) -> bool:
    print()
    for what, holds in checks.items():
        print(f"{'ok    ' if holds else 'FAILED'} {what}")
    return all(checks.values())
