"""Put a script together from its file and the fragments that it includes.

``--- @include "row"`` names ``include/row.lua``, and ``--- @include "keys/look"`` a fragment of a *group*, the folder
``include/keys``. Each fragment stands in the script once, behind what it includes.

A script's top level runs at each call and makes each function anew, which is most of what a small call costs. So the
fragments of a group stand in one function. It runs when one of the functions is called for the first time that the
group shows to the rest of the script, so that a call which does not use the group makes only what stands for these::

    local change_keyed, look_later
    local function make_keys()
      ...
      function make_keys() end
    end
    function change_keyed(...)
      make_keys()
      return change_keyed(...)
    end

A fragment without a group that only one group of a script includes stands in that group's function too.

Two things follow. What a group shows must be functions. And a group must not include what includes it, not by way of
another fragment either. An error names what breaks this.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.resources.abc import Traversable
from typing import NamedTuple

from lash_redis.core.errors import ScriptError

_INCLUDE = re.compile(r'^--- @include "((?:[a-z_]+/)?[a-z_]+)"\s*$')
_DEFINES = re.compile(r"^local (function )?(\w+(?:, \w+)*)")
_TEXT = re.compile(r"'[^']*'")
_WORD = re.compile(r"(?<![.\w])[A-Za-z_]\w*")


class Part(NamedTuple):
    """A Lua file: its lines, without those that include others, and what it includes."""

    name: str
    lines: list[str]
    includes: list[str]

    def words(self) -> set[str]:
        """Return the names in its code: no fields of tables, no texts."""
        return {word for line in self.lines for word in _WORD.findall(_TEXT.sub("", line.partition("--")[0]))}

    def defines(self) -> dict[str, bool]:
        """Return the names that it defines for others, and which of them are functions."""
        found = [match for line in self.lines if (match := _DEFINES.match(line))]
        return {name: bool(match[1]) for match in found for name in match[2].split(", ")}


def read_lines(folder: Traversable, name: str, asked_by: str) -> list[str]:
    """Return the lines of a Lua file.

    Raises:
        ScriptError: there is none.
    """
    try:
        return (folder / f"{name}.lua").read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise ScriptError(f"{asked_by}: no Lua file {name!r}") from None


def units_of(folder: Traversable, name: str) -> dict[str, list[Part]]:
    """Return what a script is made of, by fragment and by group, each behind what it includes. The last is the script.

    Raises:
        ScriptError: a file is missing, or includes form a cycle.
    """
    parts: dict[str, Part] = {}
    _collect(folder, name, "loader", parts, ())
    return _in_order(_units(parts), f"{name}.lua")


def assembled(units: Mapping[str, list[Part]]) -> str:
    """Return a script's source, with all that it includes.

    Raises:
        ScriptError: a group shows what is no function.
    """
    parts = {part.name: part for members in units.values() for part in members}
    script = list(units)[-1]
    used = Counter(word for part in parts.values() for word in part.words())
    lines: list[str] = []
    for unit, members in units.items():
        if unit == script:
            lines += members[0].lines
        elif unit in parts:
            lines += _in_own_scope(members[0].lines, used)
        else:
            named = {word for part in parts.values() if part not in members for word in part.words()}
            lines += _made_at_first_use(unit, members, named)
    return "\n".join(lines) + "\n"


def _collect(folder: Traversable, name: str, asked_by: str, parts: dict[str, Part], open_: tuple[str, ...]) -> None:
    """Read a file, and before it what it includes."""
    own, includes = [], []
    for number, line in enumerate(read_lines(folder, name, asked_by), start=1):
        match = _INCLUDE.match(line)
        if match is None:
            own.append(line)
            continue
        wanted, here = match[1], f"{name}.lua:{number}"
        includes.append(wanted)
        if wanted in open_:
            raise ScriptError(f"{here}: include cycle {' -> '.join((*open_, wanted))}")
        if wanted not in parts:
            _collect(folder if open_ else folder / "include", wanted, here, parts, (*open_, wanted))
    key = name if open_ else f"{name}.lua"  # a script and a fragment may have the same name
    parts[key] = Part(key, own, includes)


def _units(parts: Mapping[str, Part]) -> dict[str, list[Part]]:
    """Return what is made at once: the parts of each group, and each other part alone.

    A part that only one group includes in this script, by whatever way, stands with that group.
    """
    includers: dict[str, list[str]] = {}
    unit_of: dict[str, str] = {}
    for part in reversed(list(parts.values())):  # each one before what it includes
        group, is_in_group, _ = part.name.rpartition("/")
        by = {unit_of[includer] for includer in includers.get(part.name, [])}
        is_of_one = len(by) == 1 and not by & parts.keys()
        unit_of[part.name] = f"{group}/" if is_in_group else by.pop() if is_of_one else part.name
        for name in part.includes:
            includers.setdefault(name, []).append(part.name)
    units: dict[str, list[Part]] = {}
    for part in parts.values():
        units.setdefault(unit_of[part.name], []).append(part)
    return units


def _in_order(units: Mapping[str, list[Part]], script: str) -> dict[str, list[Part]]:
    """Return the units, each behind those that it includes. The last one is the script."""
    unit_of = {part.name: unit for unit, members in units.items() for part in members}
    done: dict[str, list[Part]] = {}

    def visit(unit: str, open_: tuple[str, ...]) -> None:
        if unit in open_:
            way = " -> ".join((*open_[open_.index(unit) :], unit))
            raise ScriptError(f"{script}: a group includes what includes it: {way}")
        for wanted in (unit_of[name] for part in units[unit] for name in part.includes):
            if wanted != unit and wanted not in done:
                visit(wanted, (*open_, unit))
        done[unit] = units[unit]

    visit(script, ())
    return done


def _made_at_first_use(unit: str, members: list[Part], named: set[str]) -> list[str]:
    """Return a group as one function, and what stands for each function that others name until it has run."""
    shown: list[str] = []
    for part in members:
        for name, is_function in part.defines().items():
            if name in named and not is_function:
                raise ScriptError(f"include/{part.name}.lua: {name!r} is no function, so only its group may name it")
            shown += [name] if name in named else []
    used = Counter(word for part in members for word in part.words())
    used.update(shown)
    make = f"make_{unit[:-1]}"
    body = [line for part in members for line in _in_own_scope(part.lines, used, shown)]
    return [
        *declared(shown), f"local function {make}()", *body, f"function {make}() end", "end",
        *(line for name in shown for line in (f"function {name}(...)", f"  {make}()", f"  return {name}(...)", "end")),
    ]  # fmt: skip


def declared(names: Iterable[str]) -> list[str]:
    """Return the declarations of names as locals, each once."""
    return [f"local {name}" for name in dict.fromkeys(names)]


def _in_own_scope(lines: list[str], used: Mapping[str, int], known: Iterable[str] = ()) -> list[str]:
    """Return a part of which no more is seen than what other parts name. Lua allows 200 local names at a time."""
    shown: list[str] = []
    own: list[str] = []
    for line in lines:
        match = _DEFINES.match(line)
        names = match[2].split(", ") if match else []
        if match and (others := [name for name in names if used[name] > 1]):
            shown += others
            own += declared(name for name in names if name not in others)
            own += [line.removeprefix("local ")] if match[1] or "=" in line else []
        else:
            own.append(line)
    seen = [name for name in shown if name not in known]
    if any(map(_DEFINES.match, own)):
        return [*declared(seen), "do", *own, "end"]
    return lines if seen == shown else [*declared(seen), *own]
