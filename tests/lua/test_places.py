"""The Lua and the diagram of the states say what the table of places says."""

from __future__ import annotations

import re
from importlib.resources import files

from lash_redis.core.model import ProcessStatus
from lash_redis.core.places import BY_URGENCY, MOVES, PARTITION_INDEXES, PLACE_OF_PHASE, PLACES
from lash_redis.registry.keys import DATA_DICTIONARY
from lash_redis.registry.scripts import names
from tests.repo.tree import ROOT, read

LUA = files("lash_redis.registry") / "lua"
FRAGMENTS = "\n".join(each.read_text("utf-8") for each in (LUA / "include").iterdir())


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


def test_a_row_that_leaves_a_place_leaves_its_indexes() -> None:
    """``leave_place`` has a branch for each place, which names the indexes of that place and no other."""
    flags = re.MULTILINE | re.DOTALL
    branches = re.findall(r"row\.place == ([A-Z]+) then\n(.*?)(?=^  elseif|\Z)", function("leave_place"), flags)
    left = {place: re.findall(r"index_remove\((.*), row\.id\)", branch) for place, branch in branches}

    assert re.search(r"K \.\. 'q:' \.\. lane\b", function("lane_set"))
    assert left == {
        place.name.upper(): ["lane_set(row.lane)"] if place.per_lane else [f"K .. '{index}'" for index in indexes]
        for place in PLACES
        for indexes in [[each for each in (place.index, place.unbegun_index) if each]]
    }


def test_the_script_that_counts_counts_the_indexes_of_all_places() -> None:
    """In the order of the table; the abandon requests follow."""
    counted = re.search(r"ipairs\(\{ (.*?) \}\)", (LUA / "counts.lua").read_text("utf-8"))

    assert counted is not None
    assert [index.strip("'") for index in counted[1].split(", ")] == [*PARTITION_INDEXES, "asked"]


def test_every_index_of_a_place_is_in_the_data_dictionary() -> None:
    """It is a sorted set without an expiry."""
    indexes = {index for place in PLACES for index in (place.index, place.unbegun_index) if index}

    assert {index: DATA_DICTIONARY[index] for index in indexes} == dict.fromkeys(indexes, ("zset", False))


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
