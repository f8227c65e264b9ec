"""What one run of the bench does to the page and to what other runs have kept."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from benchmarks import ceiling, results, side_by_side
from benchmarks.main import main
from benchmarks.peers.measuring import Sizes
from benchmarks.peers.running import BrokenError, client
from benchmarks.peers.table import PEERS
from benchmarks.report.kept import Kept
from benchmarks.report.writing import filled


@pytest.fixture(autouse=True)
def _kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(logging.getLogger("lash_redis"), "handlers", [])


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Kept, bool]]:
    """Return of which results a page was written, and whether into the documentation."""
    pages: list[tuple[Kept, bool]] = []
    monkeypatch.setattr(
        "benchmarks.report.writing.write", lambda kept, *, into_docs: pages.append((kept, into_docs))
    )  # fmt: skip
    return pages


@pytest.mark.parametrize("error", [SystemExit("expected 20 rows"), ValueError("expected 20 rows")])
def test_a_part_that_fails_is_told_and_the_others_are_measured(
    error: BaseException, written: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is written, and the exit code says that something is amiss."""

    async def fail() -> None:
        raise error

    async def measure() -> None:
        results.save("idle", {"connections": 5})

    monkeypatch.setattr("benchmarks.million.measure", fail)
    monkeypatch.setattr("benchmarks.idle.measure", measure)

    assert main(["million", "idle"]) == 1
    ((kept, into_docs),) = written
    assert (kept.values("idle", "connections"), into_docs) == ([5], False)
    said = capsys.readouterr().err
    assert "expected 20 rows" in said
    assert said.endswith("failed: million\n")


def test_a_run_that_is_broken_off_ends(written: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no failure of its part."""

    async def break_off() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.million.measure", break_off)

    with pytest.raises(KeyboardInterrupt):
        main(["million", "idle"])
    assert written == []


def test_a_quick_run_leaves_what_a_full_one_has_kept(
    written: list[tuple[Kept, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own report is of itself, and a later one of the full run."""
    results.save("side_by_side", {"redis|SAQ|drain|rate": 1}, cores=64)
    run = side_by_side.Run([], {}, 1, 1.0, Sizes(), figures={"redis|SAQ|drain|rate": [2.0]})
    monkeypatch.setattr(side_by_side.Run, "measure", lambda _: None)
    monkeypatch.setattr(side_by_side, "prepared", lambda **_: run)

    assert main(["--quick"]) == main(["--report"]) == 0

    found = [(kept.values("side_by_side", "redis|SAQ|drain|rate"), into_docs) for kept, into_docs in written]
    assert found == [([2.0], False), ([1], True)]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["--quick", "ceiling"], "--quick ceiling"),
        (["--report", "idle"], "--report idle"),
        (["--quick", "--all"], "--quick --all"),
    ],
)
def test_what_cannot_be_measured_together_is_refused(
    arguments: list[str], given: str, written: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A name beside an option would be passed over in silence."""
    with pytest.raises(SystemExit):
        main(arguments)

    assert f"got {given!r}" in capsys.readouterr().err
    assert not written


@pytest.mark.parametrize("value", ["x", "0", ""])
def test_rounds_that_are_no_number_are_named(
    value: str, written: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured, by the name of the variable."""
    monkeypatch.setenv("LASH_BENCH_ROUNDS", value)
    with pytest.raises(SystemExit):
        main(["floor"])

    assert f"expected $LASH_BENCH_ROUNDS to be a number from 1 on, got {value!r}" in capsys.readouterr().err
    assert not written


def test_a_client_that_has_ended_is_told_as_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its case has a gap, and the run goes on."""
    monkeypatch.setattr("benchmarks.peers.running.command", lambda *_: [sys.executable, "-c", ""])

    with client(PEERS[0], "redis://127.0.0.1:1") as asked:
        os.waitid(os.P_PID, asked.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(BrokenError, match="the client of lash-redis has ended"):
            asked.ask({"do": "bulk"})


@pytest.mark.parametrize("error", [redis.ConnectionError("the server has gone"), redis.TimeoutError()])
def test_a_server_that_ends_is_a_gap_and_no_end_of_the_run(error: Exception) -> None:
    """It is told, and the next case is measured."""
    run = side_by_side.Run([], {}, 1, 1.0, Sizes())

    def dies() -> Any:
        raise error

    run.note(0, "redis|SAQ|drain", dies)
    run.note(0, "redis|SAQ|best", lambda: {"rate": 2.0})

    assert run.figures == {"redis|SAQ|best|rate": [2.0]}
    assert list(run.unsupported) == ["redis|SAQ|drain, round 1"]


PAGE = """# What it costs
<!-- goals: written by scripts/bench -->
| what | goal | reached | | part |
|---|---|---|---|---|
| drain, Redis 7.0.15 | 1.5 times BullMQ | 1.08 | missed | `side_by_side` |
| pool ready, s | under 1 | 0.87 | reached | `startup` |
<!-- end of goals -->
<!-- peers: written by scripts/bench -->
Rounds: 3.
<!-- end of peers -->
<!-- faults: written by scripts/bench -->
A task of 4 s.
<!-- end of faults -->
"""


def test_what_was_not_measured_keeps_what_the_page_has() -> None:
    """Marked as of an earlier run, once also if it is written twice; what was measured is new."""
    kept = Kept({"startup": {"figures": {"ready_s": [2.0]}}})
    page = filled(filled(PAGE, kept), kept)

    for line in (
        "| drain, Redis 7.0.15 | 1.5 times BullMQ | 1.08 | missed (earlier run) | `side_by_side` |",
        "| pool ready, s | under 1 | 2.00 | missed | `startup` |",
        "| SIGKILL of a worker to its work running again, s | under 0.2 | – | not measured | `recovery` |",
    ):
        assert page.count(f"{line}\n") == 1
    assert "any server" not in page
    for table in ("Rounds: 3.", "A task of 4 s."):
        assert page.count(f"\nOf an earlier run:\n\n{table}\n") == 1


def test_the_bench_fails_where_the_worker_takes_too_much_of_the_server() -> None:
    """It says which ratio."""
    ceiling.guard({64: [1.0, 1.3, 1.6], 256: [0.9]})
    with pytest.raises(SystemExit, match=r"takes 1\.40 with 256 in hand of the server's CPU .* at most 1\.3"):
        ceiling.guard({64: [1.0], 256: [1.4, 1.2, 1.5]})
