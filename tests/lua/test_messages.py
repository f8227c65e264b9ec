"""The Lua publishes the messages that the Python side reads."""

from __future__ import annotations

import re

import pytest

from lash_redis.registry.messages import (
    DEAD,
    DUE,
    ENDED,
    LANE,
    OUTCOME,
    REQUEST,
    DueEarlier,
    Ended,
    EndedWith,
    LaneFilled,
    Message,
    Requested,
    ToldDead,
    read_message,
)
from tests.lua.lua_files import sources


def published() -> list[tuple[str, str]]:
    """Return the word and what follows it, of every message in the Lua."""
    calls = [
        each
        for source in sources().values()
        for each in re.findall(r"\bpublish\(\w[^\n]*|'PUBLISH', [^\n]*|wake_one\(\w[^\n]*", source)
    ]
    messages = [re.search(r", '(\w+) ' \.\. ([\w.]+)(?: \.\. ' ' \.\. \w+)*\)", call) for call in calls]
    return [(found[1], found[2]) for found in messages if found is not None]


def test_the_lua_publishes_these_words() -> None:
    """Each followed by the id of the row, the name of the lane, the time or the owner."""
    assert set(published()) == {
        (ENDED, "id"),
        (OUTCOME, "id"),
        (LANE, "lane"),
        (REQUEST, "row.id"),
        (DUE, "due"),
        (DEAD, "digest"),
    }


def test_no_message_is_built_in_another_way() -> None:
    """Two fragments and one script plan a message; the plan sends what was planned, and wakes."""
    calling = {name for name, source in sources().items() if re.search(r"\bpublish\(|'PUBLISH'", source)}

    planning = {"include/ending/tell_waiters", "include/tell_holder", "record_death"}
    assert calling == planning | {"include/planned_writes", "include/tell_of_due", "include/wake_one"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ended order::17", Ended("order::17")),
        ("outcome order::17 pay|c \udc91\xf6 x", EndedWith("order::17", "pay|c", b"\x91\xc3\xb6 x")),
        ("ended \udcff", Ended("\ufffd")),
        ("request p", Requested("p")),
        ("lane default|pay|", LaneFilled("default|pay|")),
        ("due 17", DueEarlier("17")),
        ("dead 9f", ToldDead("9f")),
        ("news p", None),
        ("", None),
    ],
)
def test_a_message_is_read(text: str, message: Message | None) -> None:
    """What nobody knows is no message: a newer release may publish more."""
    assert read_message(text) == message
