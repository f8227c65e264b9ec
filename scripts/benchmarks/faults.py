"""What becomes of work whose worker is killed, or paused past its time-out and woken: each peer, side by side.

Each peer runs with its defaults and with its most reliable settings; its docstring says which these are. The slow task
runs in one worker, and another one of the same kind stands by. ``OS process killed`` is asked of peers whose task runs
in a child of the worker: the parent lives on. ``OS process paused`` is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.peers.conversation import UnsupportedError
from benchmarks.peers.environments import MissingError
from benchmarks.peers.faulting import SLOW_S, made
from benchmarks.peers.running import BrokenError
from benchmarks.peers.table import PEERS, Peer
from benchmarks.peers.verdicts import Fault, Found, again, late_result, said, starts
from benchmarks.results import save
from benchmarks.server import binaries

WAITED_S = 100.0
AT_ONCE = 10
SETTINGS = ("default", "reliable")
# Peers that are there twice for their speed alone.
_LEFT_OUT = {"bee-queue, results stored"}
# Their task runs in a child, whose parent can tell that it died.
_IN_A_CHILD = {"lash-redis", "Celery prefork", "RQ"}


@dataclass(frozen=True)
class Question:
    """One fault of one peer."""

    peer: Peer
    task: str
    settings: str
    fault: Fault

    @property
    def row(self) -> str:
        """The name of its row."""
        if self.peer.name != "lash-redis":
            return self.peer.name
        return f"lash-redis, {'owner-bound' if self.task == 'slow_bound' else 'rerunnable'}"


def questions(peers: Sequence[Peer] = PEERS) -> Iterator[Question]:
    """Yield all faults of all peers."""
    for peer in peers:
        if peer.name in _LEFT_OUT:
            continue
        for task in ("slow", "slow_bound") if peer.name == "lash-redis" else ("slow",):
            for settings in SETTINGS:
                yield Question(peer, task, settings, "worker killed")
                if peer.name in _IN_A_CHILD:
                    yield Question(peer, task, settings, "OS process killed")
                yield Question(peer, task, settings, "worker paused")
                if peer.name in _IN_A_CHILD:
                    yield Question(peer, task, settings, "OS process paused")


def answered(question: Question) -> Found | str:
    """Make a fault; return what was seen, or why it could not be made."""
    binary = next(iter(binaries().values()))
    try:
        return made(
            question.peer, question.task, question.settings, question.fault,
            binary=binary, at_most_s=WAITED_S,
        )  # fmt: skip
    except (UnsupportedError, MissingError, BrokenError, TimeoutError) as error:
        return str(error).splitlines()[0]


def table(asked: Sequence[Question], found: Sequence[Found | str], fault: str) -> list[str]:
    """Return the table of those faults whose name ends so: ``killed`` or ``paused``."""
    columns: dict[str, Callable[[Found], str]] = {"ran again": again, "started in all": starts}
    if fault == "paused":
        columns["the late result replaced the first"] = late_result
    columns["the record says"] = said
    lines = [f"| peer | settings | {fault} | {' | '.join(columns)} |", "|---" * (3 + len(columns)) + "|"]
    for question, answer in zip(asked, found, strict=True):
        if question.fault.endswith(fault):
            what = "the worker" if question.fault.startswith("worker") else "its child that runs the task"
            cells = answer if isinstance(answer, str) else " | ".join(tell(answer) for tell in columns.values())
            lines.append(f"| {question.row} | {question.settings} | {what} | {cells} |")
    return lines


def figures(asked: Sequence[Question], found: Sequence[Found | str]) -> Iterator[tuple[str, list[float | None]]]:
    """Yield for each kill, by row and settings, after how many seconds the task ran again (None: it did not)."""
    for question, answer in zip(asked, found, strict=True):
        if question.fault.endswith("killed") and isinstance(answer, Found):
            child = "" if question.fault.startswith("worker") else ", its child"
            yield f"{question.row}{child}|{question.settings}|again_s", [answer.again_s]


async def measure() -> None:
    """Print both tables."""
    asked = list(questions())
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(threads, answered, question) for question in asked)
        )
    lines = [
        f"A task of {SLOW_S:.0f} s. Another run was waited for {WAITED_S:.0f} s.",
        "",
        *table(asked, found, "killed"),
        "",
        *table(asked, found, "paused"),
    ]
    save("faults", dict(figures(asked, found)), lines=lines)
    print("\n".join(lines))
