"""What a report keeps of the page that it replaces: what this run did not measure, marked as of an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.report.goals import Goal

MARK = " (earlier run)"
NOTE = "Of an earlier run:"
_HEAD = 2  # lines of a table before its rows


def table_with(goals: Sequence[Goal], head: Sequence[str], page: Sequence[str]) -> list[str]:
    """Return the table of goals; a line of the page stands where this run measured nothing.

    Args:
        goals: all of them, with what was measured.
        head: the lines above the rows.
        page: the lines of the table that the page has.
    """
    earlier = [line for line in page[_HEAD:] if _cells(line)[3] != "not measured"]
    measured = {goal.part for goal in goals if goal.verdict != "not measured"}
    return [*head, *_rows(goals, measured, earlier)]


def _rows(goals: Sequence[Goal], measured: set[str], earlier: Sequence[str]) -> Iterator[str]:
    done: set[str] = set()
    for goal in goals:
        of_part = [line for line in earlier if _cells(line)[-1] == f"`{goal.part}`"]
        if goal.part in measured or not of_part:
            same = [line for line in of_part if _cells(line)[:2] == [goal.about, goal.wanted]]
            yield _marked(same[0]) if goal.verdict == "not measured" and same else goal.row()
        elif goal.part not in done:  # what it was measured on may have had other names
            done.add(goal.part)
            yield from map(_marked, of_part)


def _marked(line: str) -> str:
    *others, verdict, part = _cells(line)
    return f"| {' | '.join([*others, verdict.removesuffix(MARK) + MARK, part])} |"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def noted(page: Sequence[str]) -> list[str]:
    """Return lines of the page under a note that they are of an earlier run; if it has none, that there are none."""
    if not any(page):
        return ["Not measured in this run."]
    return [*page] if list(page[:1]) == [NOTE] else [NOTE, "", *page]
