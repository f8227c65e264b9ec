"""Load the Lua transitions: resolve includes, parse the header, and know the SHA.

One file is one atomic transition. Its header is read, not just written: ``tests/lua/test_headers.py`` holds it
against the body. Grammar (each line a comment)::

    -- name: effect in one sentence.
    -- needs:  precondition            twice: what a second send does
    -- KEYS 1  partition prefix
    -- ARGV 1  name   ARGV 2.. (a, b) x rows
    -- reply   STATUS fields · STATUS
    -- bound   rows <= 500
    --- @include "fragment"
"""

from __future__ import annotations

import functools
import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

from lash_redis.core.errors import ScriptError

_INCLUDE = re.compile(r'^--- @include "([a-z_]+)"\s*$')
_STATUS = re.compile(r"\b[A-Z][A-Z_]{2,}\b")

# At maxmemory these must still work: they write the terminal fact, give something back, or write next to nothing for
# those who recover or wait (design, section 6).
ALLOWED_AT_MAXMEMORY = frozenset(
    {"terminalize", "settle", "release", "complete_unleased", "prune", "forget_owners", "renew", "renew_owned",
     "record_death", "request_abandon", "request_cancel", "open", "watch", "wake"}
)  # fmt: skip

# These only read. A server that may take no write answers them all the same.
READS = frozenset({"get", "page", "holders", "counts"})


class Script(msgspec.Struct, frozen=True):
    """One transition, ready to be sent.

    Attributes:
        name: the file's name, and the word used for it everywhere.
        source: plain Lua 5.1, includes resolved; what fakeredis gets.
        shebang_source: the same for a real server of version 7 or later: refused up front, whole, when the server
            cannot take the write (reliability notes: P11).
        statuses: the status words that its header declares.
    """

    name: str
    source: str
    shebang_source: str
    sha: str
    shebang_sha: str
    header: tuple[str, ...]
    statuses: frozenset[str]


def _lua() -> Traversable:
    return files("lash_redis.registry") / "lua"


def _read(folder: Traversable, name: str, asked_by: str) -> list[str]:
    try:
        return (folder / f"{name}.lua").read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise ScriptError(f"{asked_by}: no Lua file {name!r}") from None


def _resolve(folder: Traversable, name: str, asked_by: str, done: list[str], open_: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    for number, line in enumerate(_read(folder, name, asked_by), start=1):
        match = _INCLUDE.match(line)
        if match is None:
            lines.append(line)
            continue
        wanted = match.group(1)
        if wanted in open_:
            raise ScriptError(f"{name}.lua:{number}: include cycle {' -> '.join((*open_, wanted))}")
        if wanted not in done:
            lines += _resolve(folder / "include" if not open_ else folder, wanted, f"{name}.lua:{number}", done,
                              (*open_, wanted))  # fmt: skip
            done.append(wanted)
    return lines


def load(name: str, folder: Traversable | None = None) -> Script:
    """Return the transition called ``name``, its includes resolved: each once, in dependency order.

    Raises:
        ScriptError: the file or an include is missing, or includes form a cycle; names the file and line.
    """
    root = folder if folder is not None else _lua()
    lines = _resolve(root, name, "loader", [], ())
    source = "\n".join(lines) + "\n"
    flags = " flags=no-writes" if name in READS else " flags=allow-oom" if name in ALLOWED_AT_MAXMEMORY else ""
    shebang_source = f"#!lua{flags}\n{source}"
    header = tuple(line for line in _read(root, name, "loader") if line.startswith("-- "))
    header = header[: next((i for i, line in enumerate(header) if line.startswith("-- bound")), len(header)) + 1]
    replies = "".join(
        line for line in _continued(header, "-- reply"))  # fmt: skip
    return Script(
        name=name,
        source=source,
        shebang_source=shebang_source,
        sha=hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(),
        shebang_sha=hashlib.sha1(shebang_source.encode(), usedforsecurity=False).hexdigest(),
        header=header,
        statuses=frozenset(_STATUS.findall(replies)),
    )


def _continued(header: tuple[str, ...], start: str) -> list[str]:
    found: list[str] = []
    for line in header:
        if line.startswith(start) or (found and line.startswith("--   ")):
            found.append(line)
        elif found:
            break
    return found


def names() -> list[str]:
    """Return the names of all transitions, sorted."""
    return sorted(entry.name.removesuffix(".lua") for entry in _lua().iterdir() if entry.name.endswith(".lua"))


@functools.cache
def load_all() -> dict[str, Script]:
    """Return every transition by name, read from the package once."""
    return {name: load(name) for name in names()}
