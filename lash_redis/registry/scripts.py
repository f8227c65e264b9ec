"""Load the Lua transitions: put each together, parse the header, and know the SHA.

One file is one atomic transition. Its header says everything about it, and ``tests/lua/test_headers.py`` holds it
against the body. Grammar (each line a comment)::

    -- name: effect in one sentence.
    -- needs:  precondition            twice: what a second send does
    -- flags   none, allow-oom or no-writes: how a real server treats the script
    -- connections calls, control or claim: which of our connections carry the script
    -- KEYS 1  partition header
    -- ARGV 1  name   ARGV 2.. (a, b) x rows
    -- reply   STATUS fields · STATUS
    -- bound   rows <= 500
    --- @include "fragment"        or "group/fragment" (see assembling)

Two things stand in no header, since every script has them: the last argument is the namespace's uuid, and a partition
that is not that namespace's answers ``MISMATCH`` (``include/header``, rule 8.2).

``allow-oom`` is for what must still work at maxmemory (rule 8.10): a script that writes a terminal fact, gives
something back, or writes next to nothing for those who recover or wait. ``no-writes`` is for a script that only reads:
a server that takes no writes still answers it.
"""

from __future__ import annotations

import functools
import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

from lash_redis.core.errors import ScriptError
from lash_redis.registry.assembling import assembled, read_lines, units_of
from lash_redis.registry.libraries import library

# On a cluster PUBLISH is sent to every node, and its answer counts only those that listen to the node itself.
_PUBLISH, _PUBLISH_IN_SLOT = "redis.call('PUBLISH'", "redis.call('SPUBLISH'"
_STATUS = re.compile(r"\b[A-Z][A-Z_]{2,}\b")

FLAGS = ("none", "allow-oom", "no-writes")
CONNECTIONS = ("calls", "control", "claim")


class Script(msgspec.Struct, frozen=True):
    """One transition, ready to be sent.

    Attributes:
        name: the file's name, and the word used for it everywhere.
        flags: one of ``FLAGS``.
        connections: which of our connections carry it, one of ``CONNECTIONS``.
        source: plain Lua 5.1, includes resolved; what fakeredis gets.
        shebang_source: the same for a real server of version 7 or later, which then refuses the whole script before it
            begins if it cannot take the writes.
        cluster_source: the same for a Redis Cluster: it publishes within the slot.
        statuses: the status words that its header declares.
    """

    name: str
    flags: str
    connections: str
    source: str
    shebang_source: str
    cluster_source: str
    sha: str
    shebang_sha: str
    cluster_sha: str
    header: tuple[str, ...]
    statuses: frozenset[str]

    def variant(self, *, shebang: bool, in_slots: bool) -> tuple[str, str]:
        """Return SHA and source of what a server gets: one of a cluster, another real one, or a fake one."""
        if in_slots:
            return self.cluster_sha, self.cluster_source
        return (self.shebang_sha, self.shebang_source) if shebang else (self.sha, self.source)


def _lua() -> Traversable:
    return files("lash_redis.registry") / "lua"


def load(name: str, folder: Traversable | None = None) -> Script:
    """Return the transition called ``name``, its includes resolved: each once, in dependency order.

    Raises:
        ScriptError: the file or an include is missing, includes form a cycle, or the header does not say the flags or
            the connections; names the file, and the line of an include.
    """
    root = folder if folder is not None else _lua()
    header = _header(read_lines(root, name, "loader"))
    flags = _declared(name, header, "flags", FLAGS)
    connections = _declared(name, header, "connections", CONNECTIONS)
    units = units_of(root, name)
    source = assembled(units)
    shebang_source = ("#!lua\n" if flags == "none" else f"#!lua flags={flags}\n") + source
    cluster_source = shebang_source.replace(_PUBLISH, _PUBLISH_IN_SLOT)
    return Script(
        name=name,
        flags=flags,
        connections=connections,
        source=source,
        shebang_source=shebang_source,
        cluster_source=cluster_source,
        sha=_sha(source),
        shebang_sha=_sha(shebang_source),
        cluster_sha=_sha(cluster_source),
        header=header,
        statuses=frozenset(_STATUS.findall("".join(_continued(header, "-- reply")))),
    )


class Function(msgspec.Struct, frozen=True):
    """A transition as a function of the server.

    Attributes:
        name: that of the function and of its library; no other one of any release has it.
        library: the source of the library (see ``libraries``).
    """

    name: str
    library: str


@functools.cache
def function_of(script: str, *, in_slots: bool = False) -> Function:
    """Return the function of a transition, on a cluster or elsewhere.

    Each is made at its first use, since it takes a while.
    """
    source = library(f"{script}.lua", script_of(script).flags, units_of(_lua(), script))
    if in_slots:
        source = source.replace(_PUBLISH, _PUBLISH_IN_SLOT)
    name = f"lash_{script}_{_sha(source)[:16]}"
    return Function(name, source.replace("@", name))


def _sha(source: str) -> str:
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _header(lines: list[str]) -> tuple[str, ...]:
    comments = [line for line in lines if line.startswith("-- ")]
    bound = next((i for i, line in enumerate(comments) if line.startswith("-- bound")), len(comments))
    return tuple(comments[: bound + 1])


def _declared(name: str, header: tuple[str, ...], what: str, allowed: tuple[str, ...]) -> str:
    found = [line.split()[2:] for line in header if line.startswith(f"-- {what} ")]
    if len(found) != 1 or len(found[0]) != 1 or found[0][0] not in allowed:
        raise ScriptError(f"{name}.lua: expected one header line '-- {what}' with one of {', '.join(allowed)}")
    return found[0][0]


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
def script_of(name: str) -> Script:
    """Return the transition called ``name``, read from the package at its first use: to read all takes long."""
    return load(name)


def load_all() -> dict[str, Script]:
    """Return every transition by name."""
    return {name: script_of(name) for name in names()}
