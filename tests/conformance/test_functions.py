"""Scripts as functions of the server: made once, called without what another call left, and replaced by scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from lash_redis.core.outcomes import Success
from lash_redis.registry.assembling import units_of
from lash_redis.registry.libraries import library
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.scripts import function_of, names
from tests.conformance.actors import ADA, LONG_MS, held, work
from tests.lua.lua_files import sources
from tests.servers import Server

NAME = "functions"


@pytest.fixture
async def raw(own_server: Server) -> AsyncIterator[Any]:
    """Return a client of it."""
    async with redis.asyncio.Redis.from_url(own_server.url) as client:
        yield client


@pytest.fixture
async def mine(own_server: Server) -> AsyncIterator[ProcessRegistry]:
    """Return a registry on it."""
    registry = ProcessRegistry(own_server.url, NAME)
    yield registry
    await registry.aclose()


async def calls_of(raw: Any) -> dict[str, int]:
    """Return how often each way to call a script was taken."""
    stats = await raw.info("commandstats")
    kinds = {"function": "fcall", "script": "evalsha", "source": "eval", "load": "function|load"}
    return {kind: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for kind, name in kinds.items()}


async def more_calls(raw: Any, before: dict[str, int]) -> dict[str, int]:
    """Return how often more than before; ways that were not taken are left out."""
    after = await calls_of(raw)
    return {kind: number - before[kind] for kind, number in after.items() if number > before[kind]}


async def test_every_script_can_be_loaded_as_a_function(raw: Any) -> None:
    """Under a name that no other release uses for other content."""
    for name in names():
        function = function_of(name)
        assert re.fullmatch(rf"lash_{name}_[0-9a-f]{{16}}", function.name)
        assert await raw.function_load(function.library) == function.name.encode()


async def test_a_script_is_called_as_a_function(mine: ProcessRegistry, raw: Any) -> None:
    """Its library is loaded by the first call alone."""
    await mine.register_many([work("p")])
    before = await calls_of(raw)

    await mine.register_many([work("q")])
    assert await more_calls(raw, before) == {"function": 1}


async def test_what_the_server_has_forgotten_is_loaded_again(mine: ProcessRegistry, raw: Any) -> None:
    """By the call that misses it: an operator may flush functions at any time."""
    await mine.register_many([work("p")])
    await raw.function_flush()
    before = await calls_of(raw)

    await mine.register_many([work("q")])
    assert await more_calls(raw, before) == {"function": 2, "load": 1}


async def test_what_is_forgotten_as_soon_as_it_is_loaded_is_run_as_a_script(
    mine: ProcessRegistry, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator flushes functions right then, or a replica that never got them is the primary by now."""
    connections = mine.sender.transport.connections
    call = connections.call

    async def and_flush(kind: str, *command: Any) -> Any:
        answer = await call(kind, *command)
        if command[:2] == ("FUNCTION", "LOAD"):
            await raw.function_flush()
        return answer

    monkeypatch.setattr(connections, "call", and_flush)
    assert await mine.register_many([work("p")]) == [True]
    monkeypatch.undo()
    before = await calls_of(raw)
    await mine.register_many([work("q")])
    assert (await more_calls(raw, before))["function"] == 2


@pytest.mark.parametrize("taken", ["-fcall", "-function"])
async def test_without_the_right_to_functions_scripts_are_run(taken: str, own_server: Server, raw: Any) -> None:
    """One call asks; from then on nobody does."""
    await raw.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "~*", "&*", "+@all", taken)
    registry = ProcessRegistry(own_server.url.replace("unix://", "unix://poor:secret@"), NAME)
    await registry.register_many([work("p")])
    before = await calls_of(raw)

    await registry.register_many([work("q")])
    assert await more_calls(raw, before) == {"script": 1}
    await registry.aclose()


async def test_what_ends_at_maxmemory_ends_without_its_function(mine: ProcessRegistry, raw: Any) -> None:
    """A full server loads no library, and a script runs all the same (rule 8.10)."""
    await mine.register(work("p"))
    lease = await held(mine, "p", ADA)
    await mine.renew(lease, LONG_MS)
    await raw.function_flush()
    await raw.config_set("maxmemory", 1)

    assert (await mine.complete(lease, Success())).is_terminal
    await raw.config_set("maxmemory", 0)
    before = await calls_of(raw)
    await mine.register_many([work("q")])
    assert (await more_calls(raw, before))["function"] == 2


async def test_no_call_sees_what_another_one_left(raw: Any, tmp_path: Path) -> None:
    """Only names in capitals are made once; a group begins anew at its first use in a call."""
    files = {
        "main": '--- @include "state"\n--- @include "some/group"\n'
        "if ARGV[1] == 'use' then add(1) end\nif ARGV[1] ~= 'out' then add(2) end\n"
        "seen = (seen or 0) + 1\nreturn { LEAST, #list, sum(), seen }\n",
        "include/state": "local LEAST = 7\nlocal list = {}\nlocal seen\n"
        "if ARGV[1] == 'refuse' then\n  return { 'REFUSED' }\nend\n"
        "local function note(what)\n  list[#list + 1] = what\nend\n",
        "include/some/group": '--- @include "state"\nlocal added = {}\nlocal function add(what)\n  note(what)\n'
        "  added[#added + 1] = what\nend\nlocal function sum()\n  return #added\nend\n",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.lua").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.lua").write_text(text, "utf-8")
    source = library("main.lua", "none", units_of(tmp_path, "main"))
    await raw.function_load(source.replace("@", "lash_main"))

    answers = [await raw.fcall("lash_main", 0, word) for word in ("use", "out", "refuse", "", "use")]
    assert answers == [[7, 2, 2, 1], [7, 0, 0, 1], [b"REFUSED"], [7, 1, 1, 1], [7, 2, 2, 1]]


def test_names_in_capitals_are_constants() -> None:
    """No script changes one, or what stands in it: calls of a function would see it."""
    changed = re.compile(r"^ +([A-Z][A-Z0-9_]+)(?:\.\w+|\[[^\]]+\])* = |table\.\w+\(([A-Z][A-Z0-9_]+)\b", re.MULTILINE)
    for name, source in sources().items():
        constants = {
            each
            for names in re.findall(r"^local ([A-Z][A-Z0-9_, ]+) =", source, re.MULTILINE)
            for each in names.split(", ")
        }
        found = {match[1] or match[2] for match in changed.finditer(source)} - {"ARGV", "KEYS"}
        assert not found & constants, (name, found)
