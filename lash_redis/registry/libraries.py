"""Make a library of functions of a script: what never changes is then made once, and not at each call.

A script's top level runs at each call and makes each function anew (see ``assembling``), which is most of what a small
call costs the server. The top level of a library runs when it is loaded. Of the same Lua files:

* functions, and names in capitals with their values, are made when the library is loaded;
* all else at the top level of a fragment runs at each call, before the script's own lines and in the order of the
  includes; that of a group runs at the first use of the group in a call;
* a name at the top level that gets no value at once begins as nil in each call.

So no call sees what another one left, unless it stands in a name in capitals: these must be constants.

The files are read line by line, so that they keep to a form, to which ``tests/lua/test_libraries.py`` holds each: a
statement of the top level begins at the first column, its other lines are indented or close what it opened, and no text
or comment goes over several lines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from lash_redis.registry.assembling import Part, declared

_FUNCTION: Final = re.compile(r"^(local )?function (\w+)\(")
_LOCALS: Final = re.compile(r"^local (\w+(?:, \w+)*)(?: = (.*))?$", re.DOTALL)
_CONSTANT: Final = re.compile(r"^[A-Z][A-Z0-9_]+$")
_GOES_ON: Final = re.compile(r"^(?:\s|[})]|end\b|else\b|elseif\b|until\b)")
_RETURNS: Final = re.compile(r"^\s*return\b", re.MULTILINE)


class Made:
    """The lines of a part: those that run when the library is loaded, and those that run at each call.

    Attributes:
        names: those of the top level.
        once: statements that run when the library is loaded.
        each: statements that run at each call.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.names: list[str] = []
        self.once: list[str] = []
        self.each: list[str] = []
        for statement in statements(lines):
            if match := _FUNCTION.match(statement):
                self.names += [match[2]] if match[1] else []
                self.once.append(statement.removeprefix("local "))
            elif match := _LOCALS.match(statement):
                names = match[1].split(", ")
                self.names += names
                is_constant = all(map(_CONSTANT.match, names))
                if match[2] is None:
                    self.each += [] if is_constant else [f"{match[1]} = nil"]
                else:
                    (self.once if is_constant else self.each).append(f"{match[1]} = {match[2]}")
            else:
                self.each.append(statement)


def library(script: str, flags: str, units: Mapping[str, list[Part]]) -> str:
    """Return the library of a script, with ``@`` for the name that it and its one function have.

    Args:
        script: the script's file.
        flags: those of its header.
        units: what it is made of, each behind what it includes; the last one is the script.

    Raises:
        ScriptError: a script has more names than Lua allows.
    """
    parts = [part for members in units.values() for part in members]
    words = {part.name: part.words() for part in parts}
    used = Counter(word for named in words.values() for word in named)
    lines, begins = ["local KEYS, ARGV"], list[str]()
    for unit, members in units.items():
        is_group, init = unit.endswith("/"), f"begin_{re.sub(r'[^a-z_]', '_', unit)}"
        made = [Made(part.lines) for part in members]
        here = Counter(word for part in members for word in words[part.name])
        seen = [name for each in made for name in each.names if used[name] > here[name]]
        own = [name for each in made for name in each.names if used[name] == here[name]]
        each_call = [line for each in made for line in each.each]
        if unit == script:
            init = "run"
        lines += declared(seen)
        if each_call:
            lines += declared([f"is_{init}", init] if is_group else [init])
        lines += ["do", *declared(own), *(line for each in made for line in each.once)]
        if each_call:
            lines += [f"function {init}()", *([f"is_{init} = true"] if is_group else []), *each_call, "end"]
        if each_call and is_group:
            begins.append(f"is_{init} = false")
            lines += [line for name in seen for line in _begun_first(name, init)]
        elif each_call and unit != script:
            begins += _begun(init, each_call)
        lines.append("end")
    told = "" if flags == "none" else f", flags = {{ '{flags}' }}"
    lines += [
        "local function call(keys, arguments)", "KEYS, ARGV = keys, arguments", *begins, "return run()", "end",
        f"redis.register_function{{ function_name = '@', callback = call{told} }}",
    ]  # fmt: skip
    return "#!lua name=@\n" + "\n".join(lines) + "\n"


def _begun(init: str, statements: Iterable[str]) -> list[str]:
    if not any(map(_RETURNS.search, statements)):
        return [f"{init}()"]
    return ["do", f"local answer = {init}()", "if answer then return answer end", "end"]


def _begun_first(name: str, init: str) -> list[str]:
    return [
        "do", f"local own = {name}", f"function {name}(...)",
        f"if not is_{init} then {init}() end", "return own(...)", "end", "end",
    ]  # fmt: skip


def statements(lines: Iterable[str]) -> Iterator[str]:
    """Yield the statements of a top level, each with all its lines but comments."""
    statement: list[str] = []
    for line in lines:
        if not line.strip() or line.lstrip().startswith("--"):
            continue
        if statement and not _GOES_ON.match(line):
            yield "\n".join(statement)
            statement = []
        statement.append(line)
    if statement:
        yield "\n".join(statement)
