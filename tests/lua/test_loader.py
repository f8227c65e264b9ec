"""The loader: fragments resolved once each, in dependency order, with errors that name file and line."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from lash_redis.core.errors import ScriptError
from lash_redis.registry.scripts import function_of, load, load_all, names

HEADER = """-- {name}: do one thing.
-- needs:  nothing                 twice: the same again
-- flags   {flags}
-- connections {connections}
-- KEYS 1  partition header
-- ARGV 1  id
-- reply   DONE row · LOST
--         UNKNOWN
-- bound   1 row
"""


# The function of a group: what stands in it is not there before it runs.
GROUP = re.compile(r"^(local function (make_\w+)\(\))$.*?^function \2\(\) end\nend$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder of scripts."""
    (tmp_path / "include").mkdir()
    return tmp_path


def write(folder: Path, name: str, *lines: str, flags: str = "none", connections: str = "calls") -> None:
    """Write a script, or with ``include/`` a fragment."""
    head = "" if name.startswith("include/") else HEADER.format(name=name, flags=flags, connections=connections)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / f"{name}.lua").write_text(head + "\n".join(lines) + "\n", "utf-8")


def body(folder: Path, name: str) -> list[str]:
    """Return what a loaded script does, without comments."""
    return [line for line in load(name, folder).source.splitlines() if not line.startswith("--")]


def test_a_fragment_stands_where_it_is_included(folder: Path) -> None:
    """Before what uses it."""
    write(folder, "include/part", "local part = 1")
    write(folder, "main", '--- @include "part"', "return part")

    assert body(folder, "main") == ["local part = 1", "return part"]


def test_each_fragment_is_there_once_and_after_what_it_needs(folder: Path) -> None:
    """Two that need a third share it."""
    write(folder, "include/low", "local low = 1")
    write(folder, "include/left", '--- @include "low"', "local left = low")
    write(folder, "include/right", '--- @include "low"', "local right = low")
    write(folder, "main", '--- @include "left"', '--- @include "right"', '--- @include "low"', "return left + right")

    assert body(folder, "main") == ["local low = 1", "local left = low", "local right = low", "return left + right"]


def test_a_script_may_have_the_name_of_a_fragment(folder: Path) -> None:
    """And include it."""
    write(folder, "include/main", "local main = 1")
    write(folder, "main", '--- @include "main"', "return main")

    assert body(folder, "main") == ["local main = 1", "return main"]


def test_a_missing_script_is_named(folder: Path) -> None:
    """With who asked for it."""
    with pytest.raises(ScriptError, match="loader: no Lua file 'nothing'"):
        load("nothing", folder)


def test_a_missing_fragment_is_named_with_file_and_line(folder: Path) -> None:
    """Where the include stands."""
    write(folder, "include/part", "local part = 1", '--- @include "gone"')
    write(folder, "main", '--- @include "part"')

    with pytest.raises(ScriptError, match=r"part.lua:2: no Lua file 'gone'"):
        load("main", folder)


def test_a_cycle_is_named_with_its_way(folder: Path) -> None:
    """And with the line that closes it."""
    write(folder, "include/one", '--- @include "two"')
    write(folder, "include/two", "", '--- @include "one"')
    write(folder, "main", '--- @include "one"')

    with pytest.raises(ScriptError, match=r"two.lua:2: include cycle one -> two -> one"):
        load("main", folder)


def test_the_header_and_its_statuses_are_read(folder: Path) -> None:
    """To the line of the bound, continued lines included."""
    write(folder, "main", "-- a comment on CODE", "return {}")

    script = load("main", folder)

    assert script.header[0] == "-- main: do one thing."
    assert script.header[-1] == "-- bound   1 row"
    assert script.statuses == {"DONE", "LOST", "UNKNOWN"}


def test_a_fake_server_gets_plain_lua_and_a_real_one_a_first_line(folder: Path) -> None:
    """The fake one takes no shebang; each text is known by its own SHA."""
    write(folder, "main", "return {}")

    script = load("main", folder)

    assert not script.source.startswith("#!")
    assert script.shebang_source == f"#!lua\n{script.source}"
    assert script.sha == hashlib.sha1(script.source.encode(), usedforsecurity=False).hexdigest()
    assert script.shebang_sha == hashlib.sha1(script.shebang_source.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("flags", "first"),
    [("none", "#!lua"), ("allow-oom", "#!lua flags=allow-oom"), ("no-writes", "#!lua flags=no-writes")],
)
def test_what_a_script_may_do_at_maxmemory_is_on_its_first_line(folder: Path, flags: str, first: str) -> None:
    """A real server reads them there, before it runs anything."""
    write(folder, "main", "return {}", flags=flags)

    script = load("main", folder)

    assert script.flags == flags
    assert script.shebang_source.partition("\n")[0] == first


@pytest.mark.parametrize("connections", ["calls", "control", "claim"])
def test_the_connections_of_the_header_are_read(folder: Path, connections: str) -> None:
    """It says which of our connections carry the script."""
    write(folder, "main", "return {}", connections=connections)

    assert load("main", folder).connections == connections


@pytest.mark.parametrize(
    "wrong", [{"flags": "allow-all"}, {"flags": ""}, {"connections": "mine"}, {"connections": "calls control"}]
)
def test_a_header_that_does_not_say_flags_or_connections_is_refused(folder: Path, wrong: dict[str, str]) -> None:
    """The error names the file and what is allowed."""
    write(folder, "main", "return {}", **wrong)

    with pytest.raises(ScriptError, match=rf"main.lua: expected one header line '-- {next(iter(wrong))}' with one of"):
        load("main", folder)


def test_what_ends_frees_or_settles_still_works_at_maxmemory() -> None:
    """A server that is full refuses what begins (a batch claim, a start, a registration, a namespace), and no more."""
    refused = {name for name, script in load_all().items() if script.flags == "none"}

    assert refused == {
        "open",
        "name_lanes",
        "name_policies",
        "name_signatures",
        "register",
        "claim_next",
        "start",
        "record_first_started",
        "declare_schedules",
        "change_schedule",
        "tick",
        "turn",
    }


def test_every_transition_is_loaded_by_name() -> None:
    """One file is one transition; fragments are none."""
    assert list(load_all()) == names()
    assert {"claim", "settle", "terminalize"} <= set(names())
    assert not {"planned_writes", "row", "finish"} & set(names())


def test_what_no_other_part_names_is_seen_in_its_own_part_only(folder: Path) -> None:
    """Lua allows 200 local names at a time, and a script is made of many fragments."""
    write(
        folder,
        "include/part",
        "local base, more = 1",
        "local own = base",
        "local function part()",
        "  return own",
        "end",
    )
    write(folder, "main", '--- @include "part"', "return part(more)")

    assert body(folder, "main") == [
        "local more", "local part", "do", "local base", "base, more = 1", "local own = base", "function part()",
        "  return own", "end", "end",
        "return part(more)",
    ]  # fmt: skip


def test_a_group_is_made_when_one_of_its_functions_is_called_first(folder: Path) -> None:
    """Until then a short function stands for each that others name. What a group alone includes stands in it."""
    write(folder, "include/below", "local below = 1")
    write(folder, "include/alone", "local alone = 2")
    write(folder, "include/some/first", '--- @include "below"', '--- @include "alone"', "local function first()",
          "  return below + alone", "end")  # fmt: skip
    write(
        folder, "include/some/shown", '--- @include "some/first"', "local function shown()", "  return first()", "end"
    )
    write(folder, "main", '--- @include "below"', '--- @include "some/shown"', "return shown(below)")

    assert body(folder, "main") == [
        "local below = 1",
        "local shown",
        "local function make_some()",
        "local alone = 2",
        "local function first()", "  return below + alone", "end",
        "function shown()", "  return first()", "end",
        "function make_some() end",
        "end",
        "function shown(...)", "  make_some()", "  return shown(...)", "end",
        "return shown(below)",
    ]  # fmt: skip


def test_what_a_group_shows_is_a_function(folder: Path) -> None:
    """Anything else is not there before the group is made."""
    write(folder, "include/some/shown", "local shown = 1")
    write(folder, "main", '--- @include "some/shown"', "return shown")

    with pytest.raises(ScriptError, match=r"include/some/shown.lua: 'shown' is no function"):
        load("main", folder)


def test_a_group_stands_behind_all_that_it_includes(folder: Path) -> None:
    """Also if a script includes a part of it before that."""
    write(folder, "include/some/first", "local function first()", "end")
    write(folder, "include/low", "local low = 1")
    write(folder, "include/some/second", '--- @include "low"', "local function second()", "  return low", "end")
    write(folder, "main", '--- @include "some/first"', '--- @include "low"', '--- @include "some/second"',
          "return first(second(low))")  # fmt: skip

    assert body(folder, "main")[0] == "local low = 1"


def test_a_group_that_includes_what_includes_it_is_named_with_its_way(folder: Path) -> None:
    """No fragment includes itself here, but the group would have to stand before and behind one."""
    write(folder, "include/some/low", "local function low()", "end")
    write(folder, "include/between", '--- @include "some/low"', "local function between()", "  low()", "end")
    write(folder, "include/some/high", '--- @include "between"', "local function high()", "  between()", "end")
    write(folder, "main", '--- @include "some/high"', '--- @include "between"', "return high(between)")

    with pytest.raises(ScriptError, match=r"main.lua: a group includes what includes it: some/ -> between -> some/"):
        load("main", folder)


@pytest.mark.parametrize("name", names())
def test_the_namespace_is_compared_before_all_else(name: str) -> None:
    """Its fragment answers for the whole script, which it could not from within a group."""
    made, _ = made_at_once(name)

    assert "K" in made


def made_at_once(name: str) -> tuple[set[str], list[str]]:
    """Return the names and the functions that a script has before any of its functions runs."""
    made: set[str] = set()
    functions: list[str] = []
    in_block, in_function = False, False
    for line in GROUP.sub(r"\1\nend", load(name).source).splitlines():
        if in_function:
            in_function = line != "end"
        elif line == "do" or (in_block and line == "end"):
            in_block = line == "do"
        elif found := re.match(r"(local )?function (\w+)", line):
            in_function = True
            functions.append(found[2])
            made |= {found[2]} if found[1] and not in_block else set()
        elif line.startswith("local ") and not in_block:
            made |= set(re.findall(r"\w+", line.removeprefix("local ").partition("=")[0]))
    return made, functions


@pytest.mark.parametrize("name", names())
def test_a_script_has_room_for_more_names(name: str) -> None:
    """Lua allows 200 that stand outside every function and block. A fragment of a group takes none: see assembling."""
    made, _ = made_at_once(name)

    assert 0 < len(made) < 170


@pytest.mark.parametrize(("name", "most"), [("register", 86), ("claim_next", 102), ("start", 51), ("terminalize", 71)])
def test_a_plain_call_makes_few_functions(name: str, most: int) -> None:
    """Each is made anew at each call. What only some tasks use belongs into a group, which is made at first use."""
    _, functions = made_at_once(name)

    assert len(functions) <= most, functions


@pytest.mark.parametrize("name", names())
def test_on_a_cluster_nothing_is_published_beyond_the_slot(name: str) -> None:
    """Neither by the script nor by the function; elsewhere the same is published everywhere."""
    plain, cluster = load_all()[name].shebang_source, load_all()[name].cluster_source

    for source, in_slot in ((plain, cluster), (function_of(name).library, function_of(name, in_slots=True).library)):
        assert len(re.findall(r"\bPUBLISH\b", source)) == len(re.findall(r"'SPUBLISH'", in_slot))
        assert not re.search(r"\b(PUBLISH|publish'|SUBSCRIBE)\b", in_slot)
    assert (function_of(name).name != function_of(name, in_slots=True).name) == ("PUBLISH" in plain)
