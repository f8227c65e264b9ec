"""The pure parts of the bench: what the identities prove, which rounds count, and what the report makes of results."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from benchmarks import results, side_by_side
from benchmarks.peers import counting, environments
from benchmarks.peers.calibration import quiet
from benchmarks.peers.conversation import UnsupportedError
from benchmarks.peers.description import description
from benchmarks.peers.identities import FULL, Identities
from benchmarks.peers.measuring import Sizes
from benchmarks.peers.running import BrokenError
from benchmarks.peers.table import PEERS
from benchmarks.report import charts, goals, tables, writing
from benchmarks.report.kept import Kept, told

CALIBRATION = {"python_ms": 100.0, "python_cpu_ms": 95.0, "server_ms": 50.0}


def test_identities_that_ran_once_each_are_proof() -> None:
    """Their order is of no interest."""
    assert counting.proof(range(3), [2, 0, 1]).holds
    assert str(counting.proof(range(3), [2, 0, 1])) == "each of 3 identities ran one time, no more and no less"


@pytest.mark.parametrize(
    ("ran", "said"),
    [
        ([0, 2, 3], "of 4 identities 1 lost (1)"),
        ([0, 1, 2, 2, 3], "of 4 identities 1 ran twice (2)"),
        ([0, 1, 2, 3, 9], "of 4 identities 1 foreign (9)"),
        ([0, 1, 1, 3], "of 4 identities 1 lost (2); 1 ran twice (1)"),
    ],
    ids=["lost", "doubled", "foreign", "one lost and another doubled, so that their number is right"],
)
def test_anything_else_is_told(ran: list[int], said: str) -> None:
    """What a total would hide too."""
    proof = counting.proof(range(4), ran)

    assert not proof.holds
    assert str(proof) == said


def test_what_a_worker_notes_is_what_is_read(tmp_path: Path) -> None:
    """A full buffer is written at once; the rest by a flush."""
    identities = Identities(str(tmp_path), at_once=True)
    for number in range(3):
        identities.ran(number)

    assert counting.so_far(tmp_path) == 3
    assert counting.noted(tmp_path) == [0, 1, 2]
    assert [each.name for each in tmp_path.iterdir()] == [str(os.getpid())]


def test_a_full_buffer_is_written(tmp_path: Path) -> None:
    """Nothing is left in it, and nothing is written twice."""
    identities = Identities(str(tmp_path))
    for number in range(2 * FULL):
        identities.ran(number)
    identities.flush()

    assert sorted(counting.noted(tmp_path)) == [*range(2 * FULL)]


def test_a_file_that_is_being_written_is_read_up_to_its_last_whole_identity(tmp_path: Path) -> None:
    """A part of one is none."""
    (tmp_path / "1").write_bytes(struct.pack("<2q", 4, 5) + b"\0\0\0")

    assert counting.so_far(tmp_path) == 2
    assert counting.noted(tmp_path) == [4, 5]


def test_a_disturbed_round_is_seen() -> None:
    """By either of the two pieces of work."""
    slow_python = {**CALIBRATION, "python_ms": 140.0}
    slow_server = {**CALIBRATION, "server_ms": 80.0}

    assert quiet([CALIBRATION, slow_python, slow_server, CALIBRATION]) == [True, False, False, True]


def test_a_run_that_was_disturbed_from_its_first_round_on_is_seen() -> None:
    """Its work waited for a core, however like the other rounds it was."""
    assert quiet([{**CALIBRATION, "python_cpu_ms": 60.0}] * 2) == [False, False]


def test_ratios_are_of_one_round() -> None:
    """A round in which either gave nothing has none."""
    assert results.ratios([10, None, 30, 8], [5, 5, None, 4]) == [2, 2]


def test_a_median_leaves_out_what_was_not_measured() -> None:
    """And is none if nothing was."""
    assert results.median([3, None, 1, 2]) == 2
    assert results.median([None]) is None
    assert told([3, None, 1, 2], ".0f") == "2 (1 to 3)"
    assert told([]) == "–"


def test_results_are_kept_for_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One value, or one of each round."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)

    results.save("idle", {"commands_a_second": 1.5, "other": [1, None]}, rounds=2)

    found = results.load()
    assert found == {
        "idle": {"part": "idle", "figures": {"commands_a_second": [1.5], "other": [1, None]}, "rounds": 2}
    }  # fmt: skip


def sample(*noisy: int, rounds: int = 3) -> dict[str, Any]:
    """Return results of two peers; a noisy round has a rate of its own."""
    rates = [3.0 if number in noisy else 200.0 for number in range(rounds)]
    figures: dict[str, list[float]] = {}
    for name, factor in (("lash-redis", 4.0), ("BullMQ", 1.0), ("SAQ", 0.5)):
        for case in ("drain", "best"):
            figures[f"redis|{name}|{case}|rate"] = [factor * rate for rate in rates]
            figures[f"redis|{name}|{case}|rows"] = [1000.0] * rounds
            for what in ("server_us", "worker_us", "server_share", "commands", "bulk_rate"):
                figures[f"redis|{name}|{case}|{what}"] = [10.0 / factor] * rounds
    peers = [
        {"name": name, "packages": ["it==1"], "task": "async", "concurrency": 64, "best": None, "description": "Text."}
        for name in ("lash-redis", "BullMQ", "SAQ")
    ]
    side = {
        "figures": figures,
        "rounds": [{**CALIBRATION, "quiet": number not in noisy} for number in range(rounds)],
        "latencies": {"lash-redis": [1.0] * 101},
        "missing": {"bee-queue": "there is no node on this machine"},
        "unsupported": {"redis|SAQ|bound": "no", "redis|SAQ|memory, round 2": "it gave no answer"},
        "servers": {"redis": "Redis 7.0"},
        "peers": peers,
        "cores": 2,
        "python": "3.11",
    }
    return {"side_by_side": side, "idle": {"figures": {"commands_a_second": [3.0]}}}


def verdicts(kept: Kept) -> dict[tuple[str, str], str]:
    """Return what became of each goal."""
    return {(goal.about, goal.wanted): goal.verdict for goal in goals.goals(kept)}


def test_a_goal_is_reached_missed_or_not_measured() -> None:
    """By the median of the ratios within rounds."""
    found = verdicts(Kept(sample()))

    assert found["drain of async no-ops, Redis 7.0, 64 in hand", "1.5 times BullMQ"] == "reached"
    assert found["drain, 64 in hand", "12 times SAQ"] == "missed"  # 8 times
    assert found["server and worker CPU together", "0.6 of BullMQ's"] == "reached"
    assert found["idle worker process, commands a second", "at most 2"] == "missed"
    assert found["pool ready, s", "under 1"] == "not measured"


def test_every_row_of_the_table_of_goals_is_there_without_any_results() -> None:
    """A part that was left out is told, and nothing fails."""
    assert {goal.verdict for goal in goals.goals(Kept({}))} == {"not measured"}


def test_a_noisy_round_does_not_count_while_three_others_do() -> None:
    """It is told in any case."""
    enough, too_few = Kept(sample(1, rounds=4)), Kept(sample(1, rounds=3))

    assert set(enough.of("redis", "BullMQ", "drain", "rate")) == {200.0}
    assert set(too_few.of("redis", "BullMQ", "drain", "rate")) == {200.0, 3.0}
    assert "round 2, which is left out" in "\n".join(tables.side_by_side(enough))
    assert "round 2, which is counted" in "\n".join(tables.side_by_side(too_few))


def test_the_report_says_what_is_missing_and_what_did_not_run() -> None:
    """A peer that has no such task is in neither list."""
    text = "\n".join(tables.side_by_side(Kept(sample())))

    assert "**bee-queue** is missing: there is no node on this machine." in text
    assert "* redis, SAQ, memory, round 2: it gave no answer" in text
    assert "bound" not in text


def test_the_same_results_give_the_same_report() -> None:
    """Also when they were read from a file, and however often the page is filled."""
    page = writing.PAGE.read_text(encoding="utf-8")
    once = writing.filled(page, Kept(sample()))
    read = Kept(json.loads(json.dumps(sample())))

    assert writing.filled(once, read) == once
    assert [*charts.specifications(read)] == [*charts.specifications(Kept(sample()))]
    assert once.count("\n## ") == page.count("\n## ")  # the sentences around the tables stay


def test_the_picture_of_kills_has_each_row_with_both_settings() -> None:
    """Also one that never ran again; owner-bound work is no part of it."""
    again = {"BullMQ|default|again_s": [60.0], "BullMQ|reliable|again_s": [3.0]}
    never = {"Huey|default|again_s": [None], "lash-redis, owner-bound|default|again_s": [None]}

    (picture,) = charts.specifications(Kept({"faults": {"figures": again | never}}))

    assert picture["name"] == "recovery"
    assert picture["rows"] == [("BullMQ", [[60.0, 60.0, 60.0], [3.0, 3.0, 3.0]]), ("Huey", [[], []])]


def test_a_page_without_its_marks_is_not_written() -> None:
    """The report would go nowhere."""
    with pytest.raises(SystemExit, match="expected one pair of comments for goals"):
        writing.filled("# A page\n", Kept(sample()))


def test_the_pictures_in_the_docs_are_those_that_the_bench_draws() -> None:
    """Small, without a date, and legible on a dark page."""
    for picture in sorted(writing.PICTURES.glob("*.svg")):
        text = picture.read_text(encoding="utf-8")
        assert len(text) < 100_000, picture.name
        assert "dc:date" not in text, picture.name
        assert "prefers-color-scheme: dark" in text, picture.name


def test_the_same_data_draw_the_same_picture(tmp_path: Path) -> None:
    """To the byte, in two runs of the drawing program."""
    if not (environments.FOLDER / "charts/made-from").exists():
        pytest.skip("matplotlib has an environment of its own, which scripts/bench makes")
    kept = Kept({**sample(), "faults": {"figures": {"BullMQ|default|again_s": [6.0], "Huey|default|again_s": [None]}}})

    once, again = (charts.draw(kept, tmp_path / name) for name in ("once", "again"))

    assert [each.name for each in once] == ["rates.svg", "cpu.svg", "latency.svg", "recovery.svg"]
    assert [each.read_bytes() for each in once] == [each.read_bytes() for each in again]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_says_how_it_is_set_up(peer: Any) -> None:
    """The report prints it."""
    said = description(peer)

    assert said.lower().startswith(peer.name.replace(",", "").split()[0].lower())
    assert len(said) > 40


def test_an_environment_is_made_once_and_again_for_other_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was broken off counts as none."""
    made: list[list[str]] = []

    def make(folder: Path, packages: list[str]) -> None:
        made.append([*packages])
        if made[-1] == ["broken==1"]:
            raise environments.MissingError("no such package")

    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "_make_venv", make)

    for packages in (("it==1",), ("it==1",), ("it==2",)):
        environments.made("it", packages)
    for _ in range(2):
        with pytest.raises(environments.MissingError, match="no such package"):
            environments.made("it", ("broken==1",))

    assert made == [["it==1"], ["it==2"], ["broken==1"], ["broken==1"]]


def test_a_machine_without_node_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of the run fails."""
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(environments.MissingError, match="there is no node on this machine"):
        environments.made("it", ("it@1",), is_node=True)


def test_rounds_go_on_until_there_is_no_time_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is always measured."""
    clock = [0.0]
    rounds: list[int] = []

    def take_ten(_run: side_by_side.Run, number: int) -> None:
        rounds.append(number)
        clock[0] += 10

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(side_by_side.Run, "_round", take_ten)

    for budget in (35.0, 1.0):
        side_by_side.Run([], {}, 5, budget, Sizes()).measure()

    assert rounds == [0, 1, 2, 0]


def test_a_case_that_breaks_leaves_a_gap_in_its_round_alone() -> None:
    """So that what was measured in one round is compared with the same round of others."""
    run = side_by_side.Run([], {}, 3, 1.0, Sizes())

    def broken() -> dict[str, float]:
        raise BrokenError("an identity was lost\nand more")

    def refused() -> dict[str, float]:
        raise UnsupportedError("it has none")

    run.note(0, "a", lambda: {"rate": 1.0})
    run.note(1, "a", broken)
    run.note(2, "a", lambda: {"rate": 3.0})
    run.note(0, "b", refused)
    run.note(1, "b", broken)  # it is not asked again

    assert run.figures == {"a|rate": [1.0, None, 3.0]}
    assert run.unsupported == {"a, round 2": "an identity was lost", "b": "it has none"}


def test_percentiles_are_values_that_were_measured() -> None:
    """From the least to the largest."""
    assert side_by_side.percentiles([3.0, 1.0, 2.0])[::50] == [1.0, 2.0, 3.0]
