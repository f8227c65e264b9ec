"""The headers of the scripts say what the scripts do: they are held against the bodies."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lash_redis.core.errors import ScriptError
from lash_redis.registry.calls.refusals import refusal
from lash_redis.registry.rows import Row
from lash_redis.registry.scripts import CONNECTIONS, FLAGS, load_all, names
from tests.lua.lua_files import LUA, fragments

EVERY = pytest.mark.parametrize("name", names())

READ_COMMANDS = {
    "EXISTS", "HEXISTS", "HGET", "HGETALL", "HMGET", "HSCAN", "MGET", "TIME", "ZCARD", "ZCOUNT", "ZINTER",
    "ZMSCORE", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE",
}  # fmt: skip
WRITE_COMMANDS = {"DEL", "HDEL", "HINCRBY", "HSET", "PEXPIRE", "SET", "ZADD", "ZPOPMIN", "ZREM", "ZREMRANGEBYSCORE"}

ANSWERS = {
    "ACQUIRED", "BUSY", "CLAIMED", "CLOSED", "STALE", "COUNTS", "LANES", "FORGOTTEN", "OWNERS", "OPEN", "ABSENT",
    "ROWS", "PRUNED", "DONE", "REGISTERED", "CONFLICT", "RELEASED", "RENEWED", "SETTLED", "CHANGED", "TERMINALIZED",
    "TURNED",
    "BOUNDED", "BOUNDS", "BROUGHT", "DUPLICATE", "ENDED", "FIRST", "FULL", "LIVING", "NAMED", "NEAR", "PAUSED",
    "PAUSES", "POLICIES", "PRUNABLE", "RESUMED", "SERVED", "TOO_MANY", "UNNAMED", "UNSTARTED", "WAITING",
    "ACCEPTED", "RETAINED", "TOMBSTONES", "ASKED",
    "DECLARED", "DUE", "SCHEDULES", "TICKED",
    "RETRIED", "FAILED", "CANCELLED",
    "AWAITED", "OF_KEYS", "GLANCED",
}  # fmt: skip
# The foundations hold a small set of things; every other fragment holds one function, whose name it has.
FOUNDATIONS = tuple(
    f"include/{name}"
    for name in ("first_leases", "header", "lane_names", "partition", "keys/planned_keys", "planned_writes", "row")
)

REFUSALS: dict[str, list[Any]] = {
    "UNKNOWN": [b"UNKNOWN"],
    "TERMINAL": [b"TERMINAL", b"c"],
    "AUTHORITY": [b"AUTHORITY"],
    "UNREADABLE": [b"UNREADABLE"],
    "WAITS": [b"WAITS", b"d", b"1 1"],
    "UNAWAITED": [b"UNAWAITED", b"p", b"q", b""],
    "NO_MEMBER": [b"NO_MEMBER", b"p", b"g", b"closed"],
    "NO_GROUP": [b"NO_GROUP"],
    "STARTED_BY": [b"STARTED_BY", b"digest", b""],
    "LOST": [b"LOST"],
    "HELD": [b"HELD", b"digest", b"", b"token", b"1", b"1", b"1"],
    "NOTHING": [b"NOTHING"],
    "UNRESOLVABLE": [b"UNRESOLVABLE", b"c"],
    "MISMATCH": [b"MISMATCH"],
}


def text(name: str) -> str:
    """Return a script or a fragment as it is written."""
    return (LUA / f"{name}.lua").read_text("utf-8")


def code(name: str) -> str:
    """Return the lines that are no comments."""
    return "\n".join(line for line in text(name).splitlines() if not line.lstrip().startswith("--"))


def words(name: str) -> set[str]:
    """Return the names in a file's code: no fields of tables, no texts."""
    return set(re.findall(r"(?<![.\w])[A-Za-z_]\w*", re.sub(r"'[^']*'", "", code(name))))


def defined(name: str) -> list[str]:
    """Return what a fragment defines for those who include it, in its order."""
    found = re.findall(r"^local (?:function )?(\w+(?:, \w+)*)", code(name), re.MULTILINE)
    return [each for group in found for each in group.split(", ")]


def without_calls(source: str) -> str:
    """Return Lua without its Redis calls, whose words are commands and no statuses."""
    source, kept, at = source.replace("'('", "''"), [], 0
    for start in (match.start() for match in re.finditer(r"redis\.p?call\(", source)):
        if start < at:
            continue
        kept.append(source[at:start])
        depth = 0
        for at in range(start, len(source)):
            depth += {"(": 1, ")": -1}.get(source[at], 0)
            if depth == 0 and source[at] == ")":
                break
        at += 1
    return "".join([*kept, source[at:]])


def functions() -> dict[str, str]:
    """Return the functions of the fragments by name."""
    found = {}
    for fragment in fragments():
        for match in re.finditer(r"^local function (\w+)\(.*?^end$", code(fragment), re.MULTILINE | re.DOTALL):
            found[match.group(1)] = match.group(0)
    return found


def reached(name: str) -> str:
    """Return a script's own code, and that of the functions which it reaches in its fragments."""
    known, sources, todo = functions(), [], [code(name)]
    while todo:
        source = todo.pop()
        sources.append(source)
        todo += [known.pop(word) for word in set(re.findall(r"(\w+)\(", source)) if word in known]
    return "\n".join(sources)


def read_fields() -> dict[str, bytes]:
    """Return what ``read_row`` calls each field of the row."""
    (meanings,) = re.findall(r"local MEANINGS = \{([^}]*)\}", code("include/row"))
    return {name: field.encode() for field, name in re.findall(r"(\w+) = '(\w+)'", meanings)}


@EVERY
def test_a_header_has_all_its_parts_in_order(name: str) -> None:
    """Effect, need and second send, flags, connections, keys, arguments, replies, bound."""
    lines = text(name).splitlines()

    assert re.fullmatch(rf"-- {name}: [a-z].*\.", lines[0])
    assert re.fullmatch(r"-- needs:  \S.* twice: \S.*", lines[1])
    assert re.fullmatch(rf"-- flags   ({'|'.join(FLAGS)})", lines[2])
    assert re.fullmatch(rf"-- connections ({'|'.join(CONNECTIONS)})", lines[3])
    assert lines[4] == "-- KEYS 1  partition header"
    starts = [line.split()[1] for line in load_all()[name].header if re.match(r"-- (KEYS|ARGV|reply|bound)\b", line)]
    assert [*dict.fromkeys(starts)] == ["KEYS", "ARGV", "reply", "bound"]


@EVERY
def test_a_header_declares_every_status_that_the_body_returns(name: str) -> None:
    """And none that it does not."""
    returned = set(re.findall(r"'([A-Z][A-Z_]{2,})'", without_calls(reached(name))))

    assert load_all()[name].statuses == returned


@EVERY
def test_a_header_declares_every_argument_that_the_body_reads(name: str) -> None:
    """The last one, or where the repeated ones begin."""
    header, source = "\n".join(load_all()[name].header), code(name)
    used = [int(number) for number in re.findall(r"ARGV\[(\d+)\]", source)]
    used += [len(names_.split(",")) for names_ in re.findall(r"local ([\w, ]+) = unpack\(ARGV\)", source)]
    used += [int(last) for last in re.findall(r"unpack\(ARGV, \d+, (\d+)\)", source)]
    loops = [int(first) for first in re.findall(r"(?:for at =|,) (\d+), #ARGV", source)]
    declared = [int(number) for number in re.findall(r"ARGV (\d+)", header)]
    repeated = [int(number) for number in re.findall(r"ARGV (\d+)\.\.", header)]

    assert declared == sorted(set(declared))
    if repeated:
        assert repeated == [declared[-1]]
        assert declared[-1] in {*loops, max(used, default=0) + 1}
    else:
        assert max(declared, default=0) == max(used, default=0)


@EVERY
def test_a_script_touches_one_key_and_what_is_derived_from_it(name: str) -> None:
    """KEYS[1] is the partition's header, from which every other key is derived: one slot of a cluster."""
    source = load_all()[name].source

    assert set(re.findall(r"KEYS\[(\d+)\]", source)) == {"1"}
    assert len(re.findall(r"\bKEYS\b", re.sub(r"--.*", "", source))) == 1
    calls = r"redis\.p?call\('[A-Z]+', *(?:'\d', *)?+|\b(?:index_add|index_remove|store|drop)\("
    assert re.findall(rf"(?:{calls})(['\"].*)", source) == [], "a key that begins with a text of its own"


@EVERY
def test_a_script_asks_for_the_time_once(name: str) -> None:
    """On its first line, since on Redis 7.0 two answers in one script can differ."""
    assert load_all()[name].source.count("'TIME'") == 1


@pytest.mark.parametrize("name", [*names(), *fragments()])
def test_only_known_commands_are_called(name: str) -> None:
    """None that walks an unbounded set, that a server of 6.2 lacks, or whose failure would be swallowed."""
    source = code(name)
    called = set(re.findall(r"redis\.p?call\('([A-Z]+)'", source))

    assert called <= READ_COMMANDS | WRITE_COMMANDS | {"PUBLISH"}
    assert len(re.findall(r"redis\.p?call\(", source)) == len(re.findall(r"redis\.p?call\('[A-Z]+'", source))
    assert set(re.findall(r"redis\.pcall\('([A-Z]+)'", source)) <= READ_COMMANDS
    assert not re.search(r"(?<!redis\.)\bpcall\b|redis\.(?!p?call)", source)
    assert not re.search(r"'(ZRANGE|ZRANGEBYSCORE|ZRANGEBYLEX)'[^\n]*'-1'", source)
    for command in ("ZRANGEBYSCORE", "ZRANGEBYLEX"):
        assert source.count(f"'{command}'") == len(re.findall(rf"'{command}'[^\n]*'LIMIT'", source))
    assert source.count("'BYSCORE'") == len(re.findall(r"'BYSCORE'[^\n]*'LIMIT'", source))


@pytest.mark.parametrize("name", [*names(), *fragments()])
def test_writes_are_planned(name: str) -> None:
    """They are made by ``commit``, or by what writes plain rows, after everything was read and checked."""
    writing = ("planned_writes", "first_leases", "register_plain", "wake_one", "tell_of_due")
    if name in {f"include/{each}" for each in writing}:
        return
    written = set(re.findall(r"redis\.call\('([A-Z]+)'", code(name))) & (WRITE_COMMANDS | {"PUBLISH"})

    assert not written


def test_rows_that_are_written_without_a_plan_are_read_and_checked_before() -> None:
    """What writes them reads nothing and refuses nothing, and nothing is read or refused behind it."""
    source = code("include/register_plain")
    (writing,) = re.findall(r"^local function write_plain\(.*?^end$", source, re.MULTILINE | re.DOTALL)
    behind = source.partition("  write_plain(")[2].partition("\nend\n")[0]

    assert set(re.findall(r"redis\.call\('([A-Z]+)'", writing)) <= WRITE_COMMANDS
    assert "return" not in writing
    assert not re.search(r"redis\.call", behind)
    assert re.findall(r"return .*", behind) == ["return { 'REGISTERED', now_text }"]
    assert not set(re.findall(r"redis\.call\('([A-Z]+)'", source.replace(writing, ""))) & WRITE_COMMANDS


@EVERY
def test_a_script_that_only_reads_says_so(name: str) -> None:
    """It reaches no write, so that a server which takes none may still answer it."""
    source = reached(name)
    writes = set(re.findall(r"redis\.call\('([A-Z]+)'", source)) & (WRITE_COMMANDS | {"PUBLISH"})

    assert bool(writes) == (load_all()[name].flags != "no-writes")


def test_a_settle_compares_what_the_python_side_sends() -> None:
    """The same facts in the same order: in the header, in the code, and in what ``Row.observed`` answers."""
    fields = read_fields()
    values = [line for line in load_all()["settle"].header if line.startswith("--         ")]
    observed = [(line.split()[-2], line.split()[-1].encode()) for line in values if " observed " in line]
    reply = [each for field in fields.values() for each in (field, field)]
    row = Row([b"id", reply, b"", b"", b"", b"", b"0", b"0"])

    assert len(values) == 17
    assert len(observed) == 12
    assert re.findall(r"^  '(\w+)',$", code("settle"), re.MULTILINE) == [name for name, _ in observed]
    assert row.observed() == [field for _, field in observed]
    assert observed == [(name, fields[name]) for name, _ in observed]


def test_every_status_is_understood() -> None:
    """It is an answer, or becomes an error of its own: a word that nobody knows is a bug of ours."""
    declared = {status for script in load_all().values() for status in script.statuses}

    assert declared == ANSWERS | REFUSALS.keys()
    for reply in REFUSALS.values():
        assert not isinstance(refusal("p", reply), ScriptError)
    assert isinstance(refusal("p", [b"WHATEVER"]), ScriptError)


@pytest.mark.parametrize("name", fragments())
def test_a_fragment_says_what_it_is_for(name: str) -> None:
    """In a comment at its top; and somebody includes it."""
    first = next(line for line in text(name).splitlines() if not line.startswith("---"))

    assert re.match(r"-- [A-Z]", first)
    assert any(f'@include "{name.removeprefix("include/")}"' in text(other) for other in [*names(), *fragments()])


@pytest.mark.parametrize("name", [each for each in fragments() if each not in FOUNDATIONS])
def test_a_fragment_holds_one_function_and_has_its_name(name: str) -> None:
    """What stands above that function in the file is its own: nobody else calls it."""
    *own, last = defined(name)

    assert last == name.rpartition("/")[2]
    assert not [word for other in [*names(), *fragments()] if other != name for word in own if word in words(other)]


@pytest.mark.parametrize("name", [*names(), *fragments()])
def test_what_a_file_includes_is_what_it_uses(name: str) -> None:
    """It includes each fragment that it names something of, and no other; the header comes with the partition.

    What answers some calls by itself is named by nobody.
    """
    used = {fragment for fragment in fragments() if fragment != name and words(name) & set(defined(fragment))}
    included = {f"include/{each}" for each in re.findall(r'^--- @include "([\w/]+)"$', text(name), re.MULTILINE)}
    included -= {"include/register_plain"}

    if name == "include/partition":
        assert included == {"include/header"}
    elif "include/header" in used and "include/header" not in included:
        assert included == used - {"include/header"} | {"include/partition"}
    else:
        assert included == used
