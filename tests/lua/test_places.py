"""The Lua and the diagram of the states say what the table of places says."""

from __future__ import annotations

import re

from lash_redis.core.model import ProcessStatus
from lash_redis.core.places import (
    BY_URGENCY,
    INDEXES,
    LEASED,
    MOVES,
    PARTITION_INDEXES,
    PLACE_OF_PHASE,
    PLACES,
    QUEUED,
)
from lash_redis.registry.keys import DATA_DICTIONARY
from lash_redis.registry.scripts import names
from tests.lua.lua_files import LUA, fragments, sources
from tests.repo.tree import ROOT, read

FRAGMENTS = "\n".join(sources()[name] for name in fragments())


def function(name: str) -> str:
    """Return the body of a function of the fragments."""
    found = re.findall(rf"^local function {name}\(.*?\)\n(.*?)^end$", FRAGMENTS, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{len(found)} functions are called {name}"
    return str(found[0])


def constants() -> dict[str, str]:
    """Return the constants of the fragments by name."""
    found: dict[str, str] = {}
    for named, values in re.findall(r"^local ([A-Z_, ]+) = ('[a-z]'(?:, '[a-z]')*)$", FRAGMENTS, re.MULTILINE):
        found |= dict(zip(named.split(", "), (value.strip("'") for value in values.split(", ")), strict=True))
    return found


def test_a_place_has_the_same_code_in_lua() -> None:
    """Its constant there is its name in capitals."""
    lua = constants()

    assert {place.name: lua.get(place.name.upper()) for place in PLACES} == {place.name: place.code for place in PLACES}


def indexes() -> dict[str, str]:
    """Return the table of the fragments that names each place's index."""
    found = re.search(r"^local INDEX = \{(.*?)^\}$", FRAGMENTS, re.MULTILINE | re.DOTALL)
    assert found is not None
    return dict(re.findall(r"\[(\w+)\] = '(\w+)'", found[1]))


def test_a_place_has_the_same_index_in_lua() -> None:
    """Those of each lane are ``lane_set``; of two phases one has an index of its own."""
    (unbegun,) = re.findall(r"^local UNBEGUN_INDEX = '(\w+)'$", FRAGMENTS, re.MULTILINE)

    assert indexes() == {place.name.upper(): place.index for place in PLACES if not place.per_lane}
    assert [place.name.upper() for place in PLACES if place.per_lane] == ["QUEUED"]
    assert f"K .. '{QUEUED.index}' .. lane\n" in function("lane_set")
    assert {place.name: place.unbegun_index for place in PLACES if place.unbegun_index} == {"leased": unbegun}


def test_the_lua_names_the_index_of_a_place_once() -> None:
    """In the table: the moves and the counts find it there."""
    sources = FRAGMENTS + "".join((LUA / f"{name}.lua").read_text("utf-8") for name in names())
    code = "\n".join(line for line in sources.splitlines() if not line.lstrip().startswith("--"))
    settle_action = "action == 'uncertain'"

    for index in PARTITION_INDEXES:
        assert code.replace(settle_action, "").count(f"'{index}'") == 1, index


def test_the_script_that_counts_counts_the_indexes_of_all_places() -> None:
    """In the order of the table; the abandon requests follow."""
    counted = re.search(r"local indexes = \{\s+(.*?),\s+\}", (LUA / "counts.lua").read_text("utf-8"))
    in_lua = {index: f"INDEX[{name}]" for name, index in indexes().items()} | {LEASED.unbegun_index: "UNBEGUN_INDEX"}

    assert counted is not None
    assert counted[1].split(", ") == [*(in_lua[index] for index in PARTITION_INDEXES), "'asked'"]


def test_every_index_of_a_place_is_in_the_data_dictionary() -> None:
    """It is a sorted set without an expiry."""
    assert {index: DATA_DICTIONARY[index] for index in INDEXES} == dict.fromkeys(INDEXES, ("zset", False))


def test_codes_and_phases_belong_to_one_place_each() -> None:
    """So a row's code and whether it has begun give its phase, and a phase gives its place."""
    assert len({place.code for place in PLACES}) == len(PLACES)
    assert len(PLACE_OF_PHASE) == sum(len(place.phases) for place in PLACES)
    assert set(BY_URGENCY) == set(PLACE_OF_PHASE)
    assert all((len(place.phases) == 2) == bool(place.unbegun_index) for place in PLACES)


def test_moves_are_made_by_scripts_that_there_are() -> None:
    """Each move is listed once for each disposition and script, and a terminal row makes none."""
    listed = [
        (move.source, move.target, disposition, script)
        for move in MOVES
        for disposition in move.dispositions
        for script in move.by
    ]

    assert {script for *_, script in listed} <= set(names())
    assert len(listed) == len(set(listed))
    assert ProcessStatus.RUNNING not in {move.target for move in MOVES}


def test_the_diagram_has_the_moves_of_the_table() -> None:
    """An arrow for each pair of phases, or phase and terminal status, that some transition moves a row between."""
    diagram = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", read(ROOT / "docs/states.md"), re.DOTALL)
    assert diagram is not None
    drawn = re.findall(r"^ +(\S+) --> (\w+): \S", diagram[1], re.MULTILINE)

    assert len(drawn) == len(diagram[1].splitlines())
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {(move.source.value if move.source else "[*]", move.target.value) for move in MOVES}
