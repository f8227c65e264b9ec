"""What the verbs share that act on many processes: how they are told which, and how they show what became of them."""

from __future__ import annotations

import argparse
from typing import Any, Final

from lash_redis.cli.connect import checked_by
from lash_redis.cli.parsing import age_ms
from lash_redis.cli.render import json_text, printable
from lash_redis.core.checks import checked_int, checked_queue, checked_task_name
from lash_redis.core.errors import SettingsError
from lash_redis.core.labels import label_in, label_key
from lash_redis.operate.many import bulk_view
from lash_redis.registry.answers import BulkReport
from lash_redis.registry.calls.selecting import AT_MOST, MOST, Which, phase_named, status_named

# Where more rows were read for each one that is meant, it is said: a filter had no index.
_MANY_READ: Final = 10


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add what says which processes are meant."""
    which = parser.add_argument_group("which")
    which.add_argument("--queue", type=checked_by(checked_queue), help="of this queue")
    which.add_argument("--task", type=checked_by(checked_task_name), help="of this task")
    which.add_argument(
        "--label", type=checked_by(label_in), action="append", metavar="NAME=VALUE", help="with this label (again: and)"
    )
    which.add_argument(
        "--older-than", type=checked_by(age_ms), metavar="AGE", help="registered longer ago: 30d, 12h, 90min, 2w"
    )
    parser.add_argument("--most", type=checked_by(_most), default=MOST, help=f"at most so many ({MOST})")
    parser.add_argument("--yes", action="store_true", help="do it; without this they are only counted and shown")


def _most(value: str) -> int:
    return checked_int("--most", int(value) if value.isdecimal() else value, at_least=1, at_most=AT_MOST)


def which_of(args: argparse.Namespace) -> Which:
    """Return which processes a command line means.

    Raises:
        SettingsError: it names two values of one label.
    """
    given: dict[str, Any] = vars(args)
    phase, state, labels = given.get("phase"), given.get("state"), dict(args.label or ())
    for name, value in args.label or ():
        if labels[name] != value:
            both = f"{label_key(name, value)} and {label_key(name, labels[name])}"
            raise SettingsError(f"expected one value of each label, got {both}: no process has both")
    return Which(
        queue=args.queue,
        task=args.task,
        phase=None if phase is None else phase_named(phase),
        status=None if state is None else status_named(state),
        labels=labels,
        older_than_ms=args.older_than,
    )


def told(report: BulkReport, args: argparse.Namespace, does: str) -> str:
    """Return what was done, or would be; ``does`` is the verb in one word, such as ``cancel``."""
    if args.json:
        return json_text(bulk_view(report))
    counted = f"{report.found} process{'' if report.found == 1 else 'es'}"
    if args.yes:
        done = ", ".join(f"{number} {word}" for word, number in sorted(report.done.items()))
        lines = [f"{counted}: {done or 'nothing to do'}"]
    else:
        rest = report.found - len(report.first)
        lines = [f"would {does} {counted}", *(f"  {each}" for each in report.first)]
        lines += [f"  and {rest} more"] if rest else []
        lines += ["to do it: add --yes"] if report.found else []
    lines += [f"left out: {number} ({reason})" for reason, number in sorted(report.left_out.items())]
    if report.read > _MANY_READ * max(1, report.found + sum(report.left_out.values())):
        lines.append(f"{report.read} rows were read to find them: no index has all that was asked for")
    if report.has_more:
        further = "the same again goes on with them" if args.yes else "a larger number finds them"
        lines.append(f"there may be more: --most {args.most} was reached, and {further}")
    return "\n".join(map(printable, lines))
