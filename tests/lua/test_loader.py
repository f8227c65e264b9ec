"""The loader: fragments resolved once each, in dependency order, with errors that name file and line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lash_redis.core.errors import ScriptError
from lash_redis.registry.scripts import ALLOWED_AT_MAXMEMORY, READS, load, load_all, names

HEADER = """-- {name}: do one thing.
-- needs:  nothing                 twice: the same again
-- KEYS 1  partition prefix
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


def write(folder: Path, name: str, *lines: str) -> None:
    """Write a script, or with ``include/`` a fragment."""
    head = "" if name.startswith("include/") else HEADER.format(name=name)
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


@pytest.mark.parametrize("name", names())
def test_what_a_script_may_do_at_maxmemory_is_on_its_first_line(name: str) -> None:
    """A server that is full refuses claims and registrations whole, and nothing that ends or frees something."""
    first, _, _ = load(name).shebang_source.partition("\n")

    allowed = "flags=no-writes" if name in READS else "flags=allow-oom" if name in ALLOWED_AT_MAXMEMORY else ""
    assert first == f"#!lua {allowed}".strip()


def test_the_lists_name_scripts() -> None:
    """Each at most once."""
    assert not ALLOWED_AT_MAXMEMORY & READS
    assert set(names()) >= ALLOWED_AT_MAXMEMORY | READS


def test_every_transition_is_loaded_by_name() -> None:
    """One file is one transition; fragments are none."""
    assert list(load_all()) == names()
    assert {"claim", "settle", "terminalize"} <= set(names())
    assert not {"plan", "row", "places"} & set(names())
