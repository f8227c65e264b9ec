"""The loader: fragments resolved once each, in dependency order, with errors that name file and line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lash_redis.core.errors import ScriptError
from lash_redis.registry.scripts import load, load_all, names

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder of scripts."""
    (tmp_path / "include").mkdir()
    return tmp_path


def write(folder: Path, name: str, *lines: str, flags: str = "none", connections: str = "calls") -> None:
    """Write a script, or with ``include/`` a fragment."""
    head = "" if name.startswith("include/") else HEADER.format(name=name, flags=flags, connections=connections)
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


@pytest.mark.parametrize("name", names())
def test_a_script_has_room_for_more_names(name: str) -> None:
    """The names that stand outside every function and block."""
    count, in_block, in_function = 0, False, False
    for line in load(name).source.splitlines():
        if in_function:
            in_function = line != "end"
        elif line == "do" or (in_block and line == "end"):
            in_block = line == "do"
        elif line.startswith(("function ", "local function ")):
            in_function = True
            count += not in_block and line.startswith("local ")
        elif line.startswith("local ") and not in_block:
            count += len(line.partition("=")[0].split(","))

    assert 3 < count < 195
