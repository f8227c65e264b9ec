"""``lash-redis show ID``: one process whole, and the line of the verdict's table that it meets now."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from lash_redis.cli.connect import add_options, add_process_id, answer
from lash_redis.cli.render import fields, json_text, loud, named, printable, shortened, value_text
from lash_redis.core.labels import labels_in_words
from lash_redis.core.lanes import scopes_of
from lash_redis.core.model import (
    AbandonRequest,
    CancelRequest,
    ExternalInput,
    Phase,
    ProcessRecord,
    ProcessStatus,
    RecoveryDisposition,
    TaskInput,
)
from lash_redis.core.outcomes import Abandoned, Cancelled, Failure, Outcome, ResolutionKind, Success
from lash_redis.core.sequences import sequence_in
from lash_redis.core.times_in_words import ago, moment
from lash_redis.core.verdict import Action
from lash_redis.operate.explain import Explanation, OwnerState, explain, explanation_view
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.rows import Row

Pairs = list[tuple[str, str]]


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "show", help="show one process, and what recovery may do with it now", description=__doc__
    )
    add_process_id(parser)
    add_options(parser)
    parser.set_defaults(run=functools.partial(answer, verb=_show))


async def _show(registry: ProcessRegistry, args: argparse.Namespace) -> str:
    explanation = await explain(registry, args.id)
    if args.json:
        return json_text(explanation_view(explanation))
    row = explanation.row
    pairs = [
        *_waits(explanation),
        *_ahead(explanation),
        *_schedule(explanation),
        *_record(row),
        *_keyed(explanation),
        *_owners(explanation),
        *_end(row),
        *_resolution(row),
        *_halts(explanation),
        *_verdict(explanation),
    ]
    return "\n".join([_title(row), "", *fields(pairs)])


def _title(row: Row) -> str:
    place = row.phase.value if row.phase else row.status.value
    return f"{row.process_id} · {row.disposition.value} · {loud(place) if row.phase is Phase.UNCERTAIN else place}"


def _waits(explanation: Explanation) -> Pairs:
    text = printable(explanation.waiting.text)
    match explanation.waiting.reason:
        case "":
            return []
        case "others" | "limit":
            helps = explanation.waiting.helps
            return [("waits", loud(text) if helps else text), *(("", printable(each)) for each in helps)]
        case "pause":
            return [("queued", loud(text)), ("", "lash-redis resume lets it begin")]
        case "worker":
            cancel = f"lash-redis cancel {explanation.row.process_id} --by … --reason …"
            return [
                ("queued", loud(text)),
                ("", "run workers of the release that submitted it, or of one that can read it"),
                ("", f"or give it up: {cancel}"),
            ]


def _ahead(explanation: Explanation) -> Pairs:
    ahead = explanation.ahead
    if ahead is None:
        return []
    line = f"{ahead.process_id}, the first of its sequence, which is {ahead.state}"
    if ahead.is_halted:
        settle = "show says how to settle it, and lash-redis resolve lets the next one go"
        return [("waits for", loud(line)), ("", f"the sequence halts until somebody says what became of it: {settle}")]
    return [("waits for", line), *([("", loud(printable(ahead.waits)))] if ahead.waits else [])]


def _schedule(explanation: Explanation) -> Pairs:
    schedule = explanation.schedule
    if schedule is None:
        return []
    which = f"its tick of {schedule.instant}" if schedule.instant else "run by hand, beside its ticks"
    return [("schedule", printable(f"{schedule.name}, {which}"))]


def _halts(explanation: Explanation) -> Pairs:
    if not explanation.halts_others:
        return []
    steps = "resolve it" if explanation.row.is_terminal else "abandon it, then resolve it"
    return [("sequence", loud(f"halted: the work behind it waits. Find out what became of it, then {steps}"))]


def _record(row: Row) -> Pairs:
    record, now = row.record(), row.now_ms
    pairs = _input(record)
    if record.replay_of:
        pairs.append(("replays", record.replay_of))
    if record.labels:
        pairs.append(("labels", printable(labels_in_words(record.labels))))
    pairs += [("queue", record.queue), ("registered", moment(record.registered_at_ms, now))]
    if record.disposition is RecoveryDisposition.EXTERNALLY_OWNED:
        pairs.append(("granted to", printable(record.granted_to or "any external owner")))
    if record.due_at_ms is not None:
        pairs.append(("due", moment(record.due_at_ms, now)))
    if record.expires_at_ms is not None and record.first_started is None:
        pairs.append(("expires", f"{moment(record.expires_at_ms, now)}, if nobody has started it"))
    if record.attempts or record.releases:
        pairs.append(("attempts", f"{record.attempts}, and {record.releases} that a worker stopped and gave back"))
    if record.last_failure is not None:
        failure = record.last_failure
        pairs.append(("last failure", shortened(f"{failure.code}: {failure.message}")))
    if record.losses:
        pairs.append(("losses", _losses(record)))
    if row.runs_alone:
        pairs.append(("runs alone", "a worker runs one such process at a time, and no owner-bound work beside it"))
    pairs += _request("cancel", record.cancel_request, now) + _request("abandon", record.abandon_request, now)
    return pairs


def _losses(record: ProcessRecord) -> str:
    limit, outcome = record.loss_limit, record.outcome
    if record.status is ProcessStatus.RUNNING:
        return f"{record.losses} of {limit}; at {limit} of {limit} it is abandoned"
    if isinstance(outcome, Abandoned) and outcome.evidence.proof == "loss_limit":
        return f"{limit} of {limit}, at which it is abandoned"  # the row counts none any more once it has ended
    return f"{record.losses} of {limit}"


def _input(record: ProcessRecord) -> Pairs:
    match record.input:
        case TaskInput(task, args, kwargs):
            arguments = [repr(each) for each in args] + [f"{name}={value!r}" for name, value in kwargs.items()]
            return [("task", task), ("arguments", shortened(", ".join(arguments)) or "none")]
        case ExternalInput(metadata):
            return [("metadata", value_text(dict(metadata)))]
    return []


def _keyed(explanation: Explanation) -> Pairs:
    row = explanation.row
    pairs = [("key", printable(row.key))] if row.key else []
    if row.is_in_sequence:
        pairs.append(("sequence", printable(sequence_in(scopes_of(row.lane)).removeprefix("="))))
    passed = [printable(f"{each.named}: {each.text} (revision {each.revision})") for each in explanation.policies]
    if row.phase is Phase.UNCERTAIN and any(each.limit for each in explanation.policies):
        passed.append("it keeps its slots, since nobody knows whether it still runs")
    return pairs + [("passes" if at == 0 else "", text) for at, text in enumerate(passed)]


def _request(what: str, request: CancelRequest | AbandonRequest | None, now_ms: int) -> Pairs:
    if request is None:
        return []
    why = f": {shortened(request.reason)}" if request.reason else ""
    return [
        (f"{what} asked", f"by {printable(request.requested_by)}{why}"),
        ("", f"{moment(request.requested_at_ms, now_ms)}, by the asker's clock"),
    ]


def _owners(explanation: Explanation) -> Pairs:
    row = explanation.row
    record, now = row.record(), row.now_ms
    pairs: Pairs = []
    if record.first_started is not None:
        is_bound = record.disposition is RecoveryDisposition.OWNER_BOUND
        pairs += [
            ("started" if is_bound else "first started", moment(record.first_started.started_at_ms, now)),
            ("starter" if is_bound else "first run by", named(record.first_started.owner)),
            *_state(explanation.starter),
        ]
    lease = row.lease()
    if explanation.may_still_be_done:
        pairs.append(("", loud("it may still do the work: end that OS process, or wait until it has ended")))
    if lease is None:
        return pairs if row.is_terminal else [*pairs, ("lease", "none")]
    state = f"live, ends {ago(lease.expires_at_ms, now)}" if row.is_live else f"lapsed {ago(lease.expires_at_ms, now)}"
    pairs.append(("lease", f"{state}; claimed {ago(lease.claimed_at_ms, now)}, fence {lease.fencing_token}"))
    if row.holder_digest == row.starter_digest:
        is_bound = record.disposition is RecoveryDisposition.OWNER_BOUND
        return [*pairs, ("holder", "the starter" if is_bound else "the same owner")]
    return [*pairs, ("holder", named(lease.owner)), *_state(explanation.holder)]


def _state(state: OwnerState | None) -> Pairs:
    return [("", f"{state.life.value}: {printable(state.text)}")] if state else []


def _end(row: Row) -> Pairs:
    record = row.record()
    if record.ended_at_ms is None:
        return []
    if record.outcome is None:
        forgotten = "not kept any more: its task keeps results for a shorter time than processes"
        return [("ended", moment(record.ended_at_ms, row.now_ms)), ("result", forgotten)]
    return [("ended", moment(record.ended_at_ms, row.now_ms)), *_outcome(record.outcome)]


def _resolution(row: Row) -> Pairs:
    if row.status is not ProcessStatus.ABANDONED:
        return []
    found = row.record().resolution
    if found is None:
        command = f"lash-redis resolve {row.process_id} --as {'|'.join(ResolutionKind)} --by … --reason …"
        return [("resolution", loud("none: nobody has said what became of it")), ("", f"to say it: {command}")]
    why = f": {shortened(found.reason)}" if found.reason else ""
    pairs = [("resolution", f"{found.kind.value}, says {printable(found.by)}{why}")]
    if found.value is not None:
        pairs.append(("", f"value {value_text(found.value)}"))
    return [*pairs, ("", f"{moment(found.at_ms, row.now_ms)}, by the clock of whoever said so")]


def _outcome(outcome: Outcome) -> Pairs:
    match outcome:
        case Success(value):
            return [("result", value_text(value))]
        case Failure(code, message, traceback):
            lines = [("", printable(line)) for line in traceback.splitlines()]
            return [("failure", printable(code)), ("", shortened(message)), *lines]
        case Cancelled(reason):
            return [("reason", shortened(reason or "none was given"))]
        case Abandoned(evidence):
            owner = named(evidence.owner) if evidence.owner else "none: it happened outside"
            proof = f"{evidence.proof}: {evidence.detail}" if evidence.detail else str(evidence.proof)
            return [("evidence", f"written by {evidence.writer.value}"), ("", shortened(proof)), ("owner lost", owner)]


def _verdict(explanation: Explanation) -> Pairs:
    row, verdict = explanation.row, explanation.verdict
    pairs = [("verdict", f"line {verdict.line}: {verdict.text}")]
    if not row.is_terminal:
        pairs.append(("", f"a sweep from here {explanation.sweep_does}"))
    if verdict.action is Action.UNCERTAIN:
        pairs.append(("", f"to settle it: lash-redis abandon {row.process_id} --by … --reason …"))
    return pairs
