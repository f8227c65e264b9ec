"""What was seen of a fault becomes the right words, and each peer is asked about each fault."""

from __future__ import annotations

import json

import pytest
from benchmarks.faults import Question, figures, questions, table
from benchmarks.peers.table import PEERS, peer
from benchmarks.peers.verdicts import Found, Line, again, ended, holder, late_result, read_lines, runs, said, starts
from benchmarks.report.kept import Kept
from benchmarks.report.writing import filled

TWICE = "start 10-1\nstart 20-5\nend 20-5\nend 10-1\n"


def record(result: str | None, state: str = "completed") -> str:
    """Return a record as a peer's client answers it."""
    return json.dumps({"state": state, "result": result})


def found(
    text: str, *, after: str, again_s: float | None = None, before: str | None = None, waited_s: float = 100
) -> Found:
    """Return what was seen of a paused worker."""
    return Found("worker paused", read_lines(text), waited_s, again_s, before, after)


def test_a_line_that_is_not_written_whole_is_not_read() -> None:
    """A worker that was killed may leave one."""
    assert read_lines("start 10-1\nend 1") == (Line("start", "10-1"),)
    assert Line("start", "10-1").pid == 10


def test_runs_and_ends_are_counted_by_os_process() -> None:
    """Each line is one."""
    lines = read_lines(TWICE)

    assert runs(lines) == 2
    assert ended(lines) == ["20-5", "10-1"]


@pytest.mark.parametrize(
    ("text", "again_s", "told"),
    [
        ("start 10-1\n", None, "no, within 100 s"),
        ("start 10-1\nend 10-1\nstart 10-2\n", None, "yes, once the paused worker was woken"),
        (TWICE, 0.051, "yes, after 0.05 s"),
        (TWICE, 3.94, "yes, after 3.9 s"),
        (TWICE, 61.4, "yes, after 61 s"),
    ],
)
def test_another_run_is_told_with_its_time(text: str, again_s: float | None, told: str) -> None:
    """Or how long it was waited for."""
    assert again(found(text, after=record(None), again_s=again_s)) == told


@pytest.mark.parametrize(
    ("lines", "told"), [(1, "once"), (2, "twice"), (4, "4 times")], ids=["one", "two", "four"]
)  # fmt: skip
def test_starts_are_told_in_words(lines: int, told: str) -> None:
    """All runs count, whatever they came to."""
    assert starts(found("start 10-1\n" * lines, after=record(None))) == told


@pytest.mark.parametrize(
    ("before", "after", "text", "told"),
    [
        (record("by-20-5"), record("by-20-5"), TWICE, "no"),
        (record("by-20-5"), record("by-10-1"), TWICE, "yes"),
        (record("by-20-5"), record(None), TWICE, "the first result is gone"),
        (record(None), record("by-10-1"), TWICE, "there was no result yet"),
        (record("by-20-5"), record("by-20-5"), "start 10-1\nstart 20-5\nend 20-5\n", "no"),
        (record("by-20-5"), record("by-10-9"), f"{TWICE}start 10-9\nend 10-9\n", "no, but that of a later run did"),
    ],
)
def test_a_late_result_is_told_by_whose_the_record_holds(before: str, after: str, text: str, told: str) -> None:
    """The late run is the one that started first."""
    assert late_result(found(text, before=before, after=after, again_s=5)) == told


def test_without_another_run_there_is_no_late_result() -> None:
    """The only result is on time, however late it is."""
    one = found("start 10-1\nend 10-1\n", before=record(None, "started"), after=record("by-10-1"))

    assert late_result(one) == "there is no other result"


def test_a_run_is_not_taken_for_one_with_a_longer_name() -> None:
    """The name of one begins as that of another does."""
    lines = read_lines("start 10-1\nstart 10-12\n")

    assert holder(record("Success(value='by-10-12')"), lines) == "10-12"


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (record("by-10-1"), "completed, the result of the first run"),
        (record("by-20-5"), "completed, the result of the second run"),
        (record(None, "abandoned"), "abandoned, no result"),
        ("null", "no record, no result"),
    ],
)
def test_the_record_is_told_by_its_state_and_whose_result_it_holds(after: str, told: str) -> None:
    """The state is the peer's own word."""
    assert said(found(TWICE, after=after)) == told


def test_each_peer_is_asked_about_both_faults_with_both_settings() -> None:
    """Those with children about the child alone too, and lash-redis of both kinds of work."""
    asked = list(questions())

    assert {each.peer.name for each in asked} == {each.name for each in PEERS} - {"bee-queue, results stored"}
    kinds = {(each.task, each.settings, each.fault) for each in asked if each.peer.name == "lash-redis"}
    faults = ("worker killed", "OS process killed", "worker paused", "OS process paused")
    assert kinds == {
        (task, settings, fault)
        for task in ("slow", "slow_bound") for settings in ("default", "reliable") for fault in faults
    }  # fmt: skip
    assert [(each.settings, each.fault) for each in asked if each.peer.name == "SAQ"] == [
        ("default", "worker killed"), ("default", "worker paused"),
        ("reliable", "worker killed"), ("reliable", "worker paused"),
    ]  # fmt: skip


def test_a_table_has_the_faults_of_its_kind_alone() -> None:
    """What could not be made says why, in one cell."""
    asked = [
        Question(peer("SAQ"), "slow", "default", "worker killed"),
        Question(peer("SAQ"), "slow", "default", "worker paused"),
        Question(peer("lash-redis"), "slow_bound", "reliable", "OS process paused"),
    ]
    seen: list[Found | str] = [
        Found("worker killed", read_lines("start 10-1\n"), 100, None, None, record(None, "active")),
        found(TWICE, before=record("by-20-5"), after=record("by-10-1"), again_s=7),
        "there is no node on this machine",
    ]

    assert table(asked, seen, "killed")[2:] == [
        "| SAQ | default | the worker | no, within 100 s | once | active, no result |"
    ]
    assert table(asked, seen, "paused")[2:] == [
        "| SAQ | default | the worker | yes, after 7.0 s | twice | yes | completed, the result of the first run |",
        "| lash-redis, owner-bound | reliable | its child that runs the task | there is no node on this machine |",
    ]


def test_a_kill_is_kept_by_its_row_and_settings() -> None:
    """The charts read it so. A pause is no figure, and neither is what could not be made."""
    asked = [
        Question(peer("lash-redis"), "slow", "default", "worker killed"),
        Question(peer("lash-redis"), "slow", "default", "OS process killed"),
        Question(peer("lash-redis"), "slow", "default", "worker paused"),
        Question(peer("SAQ"), "slow", "default", "worker killed"),
        Question(peer("arq"), "slow", "default", "worker killed"),
    ]
    killed = Found("worker killed", read_lines("start 10-1\nstart 20-5\n"), 100, 5.2, None, record(None))
    paused = found(TWICE, before=record("by-20-5"), after=record("by-20-5"), again_s=35)
    never = Found("worker killed", read_lines("start 10-1\n"), 100, None, None, record(None))

    assert dict(figures(asked, [killed, killed, paused, never, "it does not start"])) == {
        "lash-redis, rerunnable|default|again_s": [5.2],
        "lash-redis, rerunnable, its child|default|again_s": [5.2],
        "SAQ|default|again_s": [None],
    }


def test_the_report_has_the_tables_as_they_were_kept() -> None:
    """Without them it says so."""
    names = ("goals", "peers", "faults")
    page = "".join(f"<!-- {name}: written by scripts/bench -->\n<!-- end of {name} -->\n" for name in names)

    assert "\n| SAQ |\n| arq |\n<!-- end of faults -->" in filled(
        page, Kept({"faults": {"lines": ["| SAQ |", "| arq |"]}})
    )
    assert "\nNot measured in this run.\n<!-- end of faults -->" in filled(page, Kept({}))
