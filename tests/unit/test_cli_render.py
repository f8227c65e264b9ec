"""How the command line shows things to people."""

from __future__ import annotations

import io
import sys

import pytest

from lash_redis.cli.render import fields, json_text, loud, printable, shortened, table
from lash_redis.core.times_in_words import ago, duration, moment


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0 ms"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (61_000, "1 min 1 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h"),
        (7_500_000, "2 h 5 min"),
        (86_400_000 * 400, "400 d"),
        (86_400_000 + 3_600_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(ms: int, text: str) -> None:
    """People read an age, they do not compute with it."""
    assert duration(ms) == text


def test_a_moment_ahead_is_said_to_be_ahead() -> None:
    """A lease ends in the future, a registration was in the past."""
    assert ago(90_000, 30_000) == "in 1 min"
    assert ago(30_000, 90_000) == "1 min ago"


def test_a_moment_is_in_utc() -> None:
    """Two operators in two time zones read the same."""
    assert moment(1_700_000_000_000, 1_700_000_060_000) == "2023-11-14 22:13:20 UTC, 1 min ago"


def test_a_moment_beyond_the_calendar_is_shown_all_the_same() -> None:
    """When a request was made is its caller's word, which may be nonsense."""
    assert moment(2**53, 0).startswith(f"{2**53} ms, in ")


@pytest.mark.parametrize("text", ["\x1b[31mred", "two\nlines", "bell\a", "\u202eright to left", "\ud800"])
def test_nothing_that_could_steer_a_terminal_is_shown(text: str) -> None:
    """A reason, a result or an error may hold anything; what is shown is printable."""
    assert printable(text).isprintable()


def test_a_long_value_is_cut_and_says_how_long_it_is() -> None:
    """One value does not flood the screen; ``--json`` has it whole."""
    shown = shortened("x" * 5_000)

    assert len(shown) < 500
    assert shown.endswith("(5000 characters)")


def test_columns_line_up() -> None:
    """Each column is as wide as its widest cell, and no line ends in blanks."""
    assert table([("ID", "NOTE"), ("charge:1", ""), ("x", "late")]) == ["ID        NOTE", "charge:1", "x         late"]
    assert fields([("task", "shop.charge"), ("", "more")]) == ["  task  shop.charge", "        more"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "variables", "coloured"),
    [
        (_Terminal(), {"TERM": "xterm"}, True),
        (_Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (_Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    stream: io.StringIO, variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe, a dumb terminal and whoever sets ``NO_COLOR`` get plain text."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", stream)

    assert ("\x1b" in loud("uncertain")) is coloured


def test_json_shows_what_json_does_not_have() -> None:
    """A value of a kind that JSON lacks does not keep the rest from being shown."""
    assert '"<object' in json_text({"value": object(), "more": 1})
