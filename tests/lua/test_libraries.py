"""What ``libraries`` takes for granted of each Lua file, since it reads their top levels line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from lupa.lua51 import LuaRuntime

from lash_redis.registry.assembling import read_lines
from lash_redis.registry.libraries import Made, statements
from tests.lua.lua_files import LUA, sources

LUA_RUNTIME = LuaRuntime()
COMPILES = LUA_RUNTIME.eval("function(text) return loadstring(text) ~= nil end")


def lines_of(name: str) -> list[str]:
    """Return the lines of a file, as the loader hands them on."""
    return read_lines(LUA, name, "test")


@pytest.mark.parametrize("name", sorted(sources()))
def test_each_statement_of_a_top_level_is_one(name: str) -> None:
    """It begins at the first column and ends before the next line that does, so that no piece of one stands alone."""
    torn = [each for each in statements(lines_of(name)) if not COMPILES(each)]

    assert torn == []


@pytest.mark.parametrize("name", sorted(sources()))
def test_each_name_of_a_top_level_is_seen_by_what_includes_it(name: str) -> None:
    """Whatever the library makes there has the name that the script gives it, and is local to no function of ours."""
    made = Made(lines_of(name))
    declared = re.findall(r"^local (?:function )?(\w+(?:, \w+)*)", "\n".join(lines_of(name)), re.MULTILINE)

    assert made.names == [each for names in declared for each in names.split(", ")]
    assert [line for line in (*made.once, *made.each) if line.startswith("local ")] == []


def texts(source: str) -> Iterator[str]:
    """Yield what a line-by-line reading would take for code or for a comment, and is neither."""
    yield from re.findall(r"\[=*\[", source)
    yield from re.findall(r"'[^'\n]*--[^'\n]*'", source)


def test_no_text_or_comment_goes_over_several_lines() -> None:
    """Nor does two dashes stand in a text: the loader takes what follows for a comment."""
    assert {name: found for name, source in sources().items() if (found := [*texts(source)])} == {}
