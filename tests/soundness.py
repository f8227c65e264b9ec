"""Whether a namespace is sound: every key known, every row in its one place, every index and count as the rows say.

Written from the data dictionary and the design alone, and not with the code that it checks. It scans everything,
which only a test may do.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from lash_redis.registry.keys import DATA_DICTIONARY, ROW_FIELDS
from tests.sound_waits import Waits
from tests.soundness_of_owners import bad_owners
from tests.soundness_of_rows import bad_names, in_full
from tests.soundness_of_schedules import bad_schedules
from tests.soundness_of_sequences import bad_sequences
from tests.soundness_of_turns import bad_turns

Value = dict[str, Any] | bytes

_SET_BACK = 2**52


class Key(msgspec.Struct, frozen=True):
    """What one key holds: its Redis type, whether it expires, its content."""

    kind: str
    expires: bool
    value: Value


Keyspace = dict[int, dict[str, Key]]


async def keyspace(client: Any, namespace: str) -> Keyspace:
    """Return everything that a namespace holds, by partition and by what follows ``K:``."""
    head = f"{{lash:{namespace}:"
    names = [name async for name in client.scan_iter(match=f"{head}*", count=1000)]
    kinds, lives, values = (client.pipeline(transaction=False) for _ in range(3))
    for name in names:
        kinds.type(name)
        lives.pttl(name)
    kind_of = [kind.decode() for kind in await kinds.execute()]
    for name, kind in zip(names, kind_of, strict=True):
        match kind:
            case "hash":
                values.hgetall(name)
            case "zset":
                values.zrange(name, 0, -1, withscores=True)
            case "string":
                values.get(name)
            case _:
                values.type(name)  # no class of the dictionary has such a key, and that will be said
    found: Keyspace = defaultdict(dict)
    for name, kind, life, value in zip(names, kind_of, await lives.execute(), await values.execute(), strict=True):
        partition, _, rest = name.decode().removeprefix(head).partition("}:")
        if value is not None and kind != "none":  # else a lease that expired meanwhile
            found[int(partition)][rest] = Key(kind, life >= 0, _named(value))
    return dict(found)


def _named(value: Any) -> Value:
    if isinstance(value, bytes):
        return value
    return {name.decode(): held for name, held in (value.items() if isinstance(value, dict) else value)}


async def assert_sound(client: Any, namespace: str) -> None:
    """Fail, naming every contradiction, unless the namespace is sound."""
    now_ms = int((await client.time())[0]) * 1000
    problems = problems_of(await keyspace(client, namespace), now_ms + 999)
    assert not problems, "\n".join(["the namespace is not sound:", *problems])


def problems_of(everything: Keyspace, now_ms: float = math.inf) -> list[str]:
    """Return every contradiction in what a namespace holds; without a time no alarm rings too late."""
    headers = {number: keys["hdr"].value for number, keys in everything.items() if "hdr" in keys}
    return [
        f"partition {number}: {problem}"
        for number, keys in sorted(everything.items())
        for problem in _Partition(number, keys, headers, now_ms).problems()
    ]


def _text(row: dict[str, bytes], field: str) -> str:
    return row.get(field, b"").decode("utf-8", "replace")


def _kind(row: dict[str, bytes]) -> str:
    return f"{_text(row, 'ln').split('|')[1]}|{_text(row, 'ts')}"


def _listed_in(row: dict[str, bytes]) -> Iterator[tuple[str, float | None]]:
    """Yield the indexes that list a row that has not ended, each with its score there (None: any)."""
    match row.get("ph"):
        case b"q":
            yield f"q:{_lane(row)[0]}", float(row["sq"]) - int(row.get("pr", 0)) * 2**44
        case b"d":
            yield "delayed", float(row.get("du", -1))
        case b"b":
            yield "blocked", None
        case b"l":
            yield "leases", float(row.get("ex", -1))
            yield f"of:{_text(row, 'ho')}", None
            if row.get("tk") not in (row.get("ft"), row.get("st")):
                yield "held", None
        case b"u":
            yield "uncertain", None
        case b"x":
            yield "outside", None
    if row.get("d") == b"o" and "fs" in row:
        yield f"of:{_text(row, 'fs')}", None
    if "ar" in row:
        yield "asked", None
    if "nw" in row:
        yield f"new:{_text(row, 'ln').split('|')[0]}", float(row["at"])


def _lane(row: dict[str, bytes]) -> tuple[str, str, list[str]]:
    """Return the lane of a row while it is queued, its key, and its scopes: the one by key and the one for all keys."""
    parts = _text(row, "ln").split("|", 4)
    alone = "|alone" if int(row.get("lo", 0)) >= 2 else ""
    scopes = parts[3].split(",") if len(parts) > 3 else []
    return "|".join(parts[:4]) + alone, parts[4] if len(parts) > 4 else "", scopes


class _Partition:
    def __init__(self, number: int, keys: dict[str, Key], headers: dict[int, Any], now_ms: float) -> None:
        self.number, self.keys, self.headers, self.now_ms = number, keys, headers, now_ms
        self.rows = {id_: in_full(row, self.index("names")) for id_, row in self.named("p:").items()}
        self.live = {id_: row for id_, row in self.rows.items() if "ts" not in row}
        self.ended = {id_: row for id_, row in self.rows.items() if "ts" in row}

    def named(self, prefix: str) -> dict[str, Any]:
        """Return the contents of all keys of a class, by what follows the prefix."""
        return {name.removeprefix(prefix): key.value for name, key in self.keys.items() if name.startswith(prefix)}

    def index(self, name: str) -> dict[str, float]:
        """Return one index, empty if there is none."""
        return self.keys[name].value if name in self.keys else {}  # type: ignore[return-value]

    def problems(self) -> Iterator[str]:
        """Yield every contradiction."""
        yield from self.unknown_keys()
        yield from self.bad_header()
        for id_, row in self.rows.items():
            yield from (f"row {id_}: {problem}" for problem in self.bad_row(id_, row))
        yield from self.bad_due_times()
        yield from self.bad_pauses()
        yield from self.bad_bounds()
        yield from self.bad_unique_keys()
        yield from self.bad_expiries()
        yield from self.bad_places()
        yield from self.bad_keys()
        yield from self.bad_slots()
        yield from bad_turns(self.named("next:"), self.index)
        yield from bad_sequences(self.rows, self.index, list(self.keys))
        yield from Waits(self.rows, self.named, self.index("alarms")).problems()
        yield from bad_owners(self.named, self.index)
        yield from self.bad_leases()
        yield from self.bad_payloads()
        yield from self.bad_counts()
        yield from self.bad_labels()
        yield from self.bad_retention()
        yield from bad_names(self.named("p:"), self.index("names"))
        yield from self.bad_lists_of_lanes()
        yield from self.bad_signatures()
        yield from bad_schedules(self.rows, self.named, self.index)

    def unknown_keys(self) -> Iterator[str]:
        for name, key in self.keys.items():
            classes = [each for each in DATA_DICTIONARY if name == each or (each[-1] == ":" and name.startswith(each))]
            if len(classes) != 1:
                yield f"key {name} is in no class of the data dictionary"
            elif (key.kind, key.expires) != DATA_DICTIONARY[classes[0]]:
                yield f"key {name} is a {key.kind} with expires={key.expires}, not {DATA_DICTIONARY[classes[0]]}"

    def bad_header(self) -> Iterator[str]:
        header = self.headers.get(self.number)
        if header is None:
            yield "it has keys, but no header"
        elif header.keys() - {"due", "watcher", "paused", "bounded", "clock"} != {
            "uuid",
            "partitions",
            "schema",
            "sequence",
            "whole",
        }:
            yield f"its header has the fields {sorted(header)}"
        elif len({each["uuid"] for each in self.headers.values()}) != 1:
            yield "its header's uuid is not that of the others"
        elif not self.number < int(header["partitions"]):
            yield f"it is beyond the header's {header['partitions']!r} partitions"

    def bad_due_times(self) -> Iterator[str]:
        times = [*self.index("delayed").values(), *self.index("alarms").values()]
        due = float(self.headers.get(self.number, {}).get("due", "inf"))
        if times and not due <= min(times):
            yield f"its header says that the next is due at {due:.0f}, and one is due at {min(times):.0f}"

    def bad_pauses(self) -> Iterator[str]:
        names = self.headers.get(self.number, {}).get("paused", b"").decode().split()
        if sorted(names) != sorted(self.index("paused")):
            yield f"its header says that {names} are paused, {sorted(self.index('paused'))} are"

    def bad_bounds(self) -> Iterator[str]:
        bounded = {}
        for queue, text in self.index("bounds").items():
            most, whole = str(text, "ascii").split(" ")[1], int(self.headers[self.number]["partitions"])  # type: ignore[call-overload]
            if most:
                bounded[queue] = str(int(most) // whole + (self.number < int(most) % whole))
        words = self.headers.get(self.number, {}).get("bounded", b"").decode().split()
        if dict(word.split("=") for word in words) != bounded:
            yield f"its header says that queues are bounded by {words}, {bounded} are"
        for id_, row in self.rows.items():
            if "nw" in row and ("ts" in row or {"tk", "st"} & row.keys()):
                yield f"row {id_} was claimed or has ended, and counts as never claimed"

    def bad_unique_keys(self) -> Iterator[str]:
        last = self.named("u:")
        for id_, row in self.live.items():
            if "uq" in row and "fs" not in row and _text(row, "uq") not in last:
                yield f"row {id_} has a unique key that leads to no row"
        for key, id_ in last.items():
            if self.rows.get(id_.decode(), {}).get("uq") != key.encode():
                yield f"the unique key {key} leads to {id_!r}, whose row does not have it"

    def bad_expiries(self) -> Iterator[str]:
        rows = {
            id_: max(float(row["xp"]), float(row.get("ex", 0)))  # the alarm comes again when the lease ends
            for id_, row in self.live.items()
            if "xp" in row and "fs" not in row
        }
        alarms = {name[7:]: at for name, at in self.index("alarms").items() if name.startswith("expire ")}
        if rows.keys() != alarms.keys() or any(at > rows[id_] for id_, at in alarms.items()):
            yield f"rows expire at {rows}, and alarms are set at {alarms}"

    def bad_row(self, id_: str, row: dict[str, bytes]) -> Iterator[str]:
        if unknown := row.keys() - ROW_FIELDS.keys():
            yield f"unknown fields {unknown}"
        if missing := {"d", "ph", "ln", "in", "at"} - row.keys():
            yield f"missing fields {missing}"
            return
        if "sq" not in row and row["ph"] not in (b"d", b"b", b""):
            yield "it has no sequence, although it has entered its lane"
        header = self.headers.get(self.number, {})
        if int(row.get("sq", 0)) > int(header.get("sequence", 0)):
            yield f"sequence {row['sq']!r} is above the header's"
        if (
            zlib.crc32(id_.partition("::")[0].encode() or id_.encode()) % int(header.get("partitions", 1))
            != self.number
        ):
            yield "it stands in another partition than its id says"
        if len({"fs", "fa", "ft"} & row.keys()) not in (0, 3):
            yield "its first start is half written"
        if "tr" in row and (int(row["tr"]) < 1 or not {"rt", "lf", "fs"} <= row.keys()):
            yield f"it was tried again, and the row does not say how: {row}"
        if int(row.get("lo", 0)) < 0 or int(row.get("lo", 0)) > int(row.get("ll", 5)):
            yield f"{row['lo']!r} losses"
        yield from self.bad_terminal(row) if "ts" in row else self.bad_phase(row)

    def bad_phase(self, row: dict[str, bytes]) -> Iterator[str]:
        disposition, place, held = row["d"], row["ph"], {"ho", "tk", "ex", "ca"} & row.keys()
        if disposition not in (b"r", b"o", b"e"):
            yield f"disposition {disposition!r}"
        if place == b"l" and "fe" not in row:
            yield "leased, and without a fence"
        if place not in (b"q", b"d", b"b", b"l", b"u", b"x"):
            yield f"place {place!r}"
        if place == b"d" and "du" not in row:
            yield "delayed, and it does not say until when"
        if (disposition == b"e") != (place == b"x"):
            yield f"disposition {disposition!r} in place {place!r}"
        if place == b"u" and not (disposition == b"o" and "fs" in row):
            yield "uncertain, and no started owner-bound work"
        if len(held) != (4 if place == b"l" else 0):
            yield f"in place {place!r} with the lease's fields {sorted(held)}"
        if place == b"q" and disposition == b"o" and "fs" in row:
            yield "started owner-bound work stands in a lane"
        if left := {"ts", "ta", "oc", "by", "rs"} & row.keys():
            yield f"not terminal, and has {left}"

    def bad_terminal(self, row: dict[str, bytes]) -> Iterator[str]:
        if row["ph"] != b"" or row["ts"] not in (b"c", b"f", b"k", b"a") or not {"ta", "fe"} <= row.keys():
            yield f"a terminal fact in pieces: {row}"
        if "oc" not in row and not ("kr" in row and row["ts"] == b"c"):
            yield "terminal, and without an outcome that might have been forgotten"
        if row.get("w"):
            yield "terminal, and somebody still waits"
        if row["d"] == b"e" and ("ho" in row or not ("by" in row or row["ts"] == b"a")):
            yield "externally owned work was held, or ended without an authority"
        has_expired = "xp" in row and "fs" not in row and row["ta"] >= row["xp"] and row.get("oc") == b"\x91\xa7expired"
        other_end = len(_text(row, "aw").split()) == 3 and _text(row, "aw")[0] == "c"
        nobody_asked = not {"cr", "ar"} & row.keys() and not has_expired and not other_end
        if row["d"] != b"e" and row["ts"] == b"k" and nobody_asked:
            yield "cancelled, and nobody asked"
        if "rs" in row and row["ts"] != b"a":
            yield "resolved, and it was never abandoned"
        if "rs" in row and row.get("rk") not in (b"h", b"d", b"a"):
            yield f"resolved as {row.get('rk')!r}"
        if row["ts"] == b"a" and row["d"] == b"o" and "fs" not in row:
            yield "owner-bound work was abandoned that nobody started"

    def bad_places(self) -> Iterator[str]:
        expected: dict[str, dict[str, float | None]] = defaultdict(dict)
        for id_, row in self.live.items():
            for name, score in _listed_in(row):
                expected[name][id_] = score
        for id_, row in self.ended.items():
            is_unresolved = row["ts"] == b"a" and "rs" not in row
            index = "unresolved" if is_unresolved else f"done:{_kind(row)}"
            expected[index][id_] = float(row.get("ta", -1))
        expected["lanes"] = {name[2:]: 0 for name in expected if name.startswith("q:")}
        expected["holders"] = {name[3:]: 0 for name in expected if name.startswith("of:")}
        known = {"delayed", "blocked", "leases", "held", "uncertain", "outside", "asked", "unresolved"} | {
            "lanes",
            "holders",
        }
        actual = known | {name for name in self.keys if name.startswith(("q:", "of:", "done:", "new:"))}
        for name in sorted(expected.keys() | actual):
            yield from self.differences(name, expected[name], self.index(name))
            if name.startswith("of:") and len(set(self.index(name).values())) < len(self.index(name)):
                yield f"{name} has rows of one score, so that pages of it may miss some"

    def bad_keys(self) -> Iterator[str]:
        """Of keyed lanes: the rows of each key, the lanes of each scope, and that each key is in rotation or parked."""
        expected: dict[str, dict[str, float | None]] = defaultdict(dict)
        for id_, row in self.live.items():
            lane, key, scopes = _lane(row)
            if row["ph"] == b"q" and scopes:
                cost = _text(row, "co")
                expected[f"k:{lane} {key}"][f"{id_} {cost}" if cost else id_] = self.index(f"q:{lane}").get(id_)
                for scope in filter(None, scopes):
                    expected[f"scope:{scope}"][lane] = 0
        for name in sorted(expected.keys() | {each for each in self.keys if each.startswith(("k:", "scope:"))}):
            yield from self.differences(name, expected[name], self.index(name))
        lanes = {name[2:].split(" ")[0] for name in expected if name.startswith("k:")}
        lanes |= {name.partition(":")[2] for name in self.keys if name.startswith(("turn:", "parked:"))}
        for lane in sorted(lanes):
            keys = {name.partition(" ")[2] for name in expected if name.startswith(f"k:{lane} ")}
            turn, parked = self.index(f"turn:{lane}"), self.index(f"parked:{lane}")
            if turn.keys() & parked.keys() or turn.keys() | parked.keys() != keys:
                yield f"lane {lane} has the keys {sorted(keys)}, in rotation {sorted(turn)}, parked {sorted(parked)}"
            if len(set(turn.values())) < len(turn):
                yield f"two keys of lane {lane} have the same turn"
            yield from self.forgotten_keys(lane, parked.keys() & keys)

    def forgotten_keys(self, lane: str, parked: set[str]) -> Iterator[str]:
        """Yield the parked keys that may run, unless something is planned that looks at them."""
        scope = lane.split("|")[3].split(",", maxsplit=1)[0]
        if scope.startswith(("!", "~")):
            return  # see bad_sequences
        limit, _, window_ms = self.policy(scope)
        alarms = {name for name, at in self.index("alarms").items() if at <= self.now_ms + max(window_ms, 1000)}
        looking = (f"policy {scope} ", f"parked {lane} ", f"slots {scope} ", "clock ")
        was_set_back = int(self.headers[self.number].get("clock", 0)) > self.now_ms
        if was_set_back or any(each.startswith(looking) for each in alarms):
            return
        for key in parked:
            rows = self.index(f"k:{lane} {key}")
            head = min(rows, key=lambda each: (rows[each], each))
            cost = min(int(head.partition(" ")[2] or 1), limit or 10**9)
            taken = self.index(f"slots:{scope} {key}").get("", 0)
            waits_for_slots = limit and taken + cost > limit
            is_looked_at = any(each.startswith("turns ") and each.endswith(f" {scope} {key}") for each in alarms)
            kept = self.keys.get(f"next:{scope} {key}")
            if kept and isinstance(kept.value, bytes):
                _, needed, other, *_ = kept.value.decode().split(" ")
                is_short = taken + int(needed) > limit or is_looked_at
                takes_its = taken + cost + int(needed) > limit
                waits_for_slots = waits_for_slots or (other != lane and takes_its and is_short)
            if not (waits_for_slots or is_looked_at or f"key {lane} {key}" in alarms):
                yield f"key {key!r} of lane {lane} is parked and may run"

    def policy(self, scope: str) -> tuple[int, int, int]:
        policies: dict[str, Any] = self.index("policies")
        limit, starts, window = map(int, policies.get(scope, b"0 0 0 0 0").split(b" ")[2:5])
        return limit, starts, window

    def bad_slots(self) -> Iterator[str]:
        """Each leased or uncertain row of a keyed lane has its slots, and nobody else has any; the sum is right."""
        holders: dict[str, dict[str, int]] = defaultdict(dict)
        for id_, row in self.live.items():
            _, key, scopes = _lane(row)
            for scope, of in zip(scopes, (key, ""), strict=False):
                if scope and not scope.startswith(("!", "~")) and row["ph"] in (b"l", b"u"):
                    holders[f"slots:{scope} {of}"][id_] = int(row.get("co", 1))
        for name in sorted(holders.keys() | {each for each in self.keys if each.startswith("slots:")}):
            held = {id_: cost for id_, cost in self.index(name).items() if id_ not in ("", "?")}
            uncertain = sum(cost for id_, cost in held.items() if self.live.get(id_, {}).get("ph") == b"u")
            if self.index(name).get("?", 0) != uncertain:
                yield f"{name} counts other slots of uncertain rows than {uncertain}: {self.index(name)}"
            if held.keys() != holders[name].keys():
                yield f"{name} has slots of {sorted(held)}, the rows are {sorted(holders[name])}"
            if any(not 1 <= cost <= holders[name].get(id_, 0) for id_, cost in held.items()):
                yield f"{name} has other costs than the rows {holders[name]}: {held}"
            if sum(held.values()) != self.index(name).get(""):
                yield f"{name} has another sum than its members: {self.index(name)}"

    def differences(self, name: str, expected: dict[str, float | None], actual: dict[str, float]) -> Iterator[str]:
        if lost := expected.keys() - actual.keys():
            yield f"{name} lacks {sorted(lost)}"
        if stale := actual.keys() - expected.keys():
            yield f"{name} has {sorted(stale)}, which do not belong there"
        for id_, score in expected.items():
            is_set_back = name.startswith("q:") and actual.get(id_, 0) > _SET_BACK  # no claim could read it
            if score is not None and id_ in actual and actual[id_] != score and not is_set_back:
                yield f"{name} has {id_} at {actual[id_]:.0f}, its row says {score:.0f}"

    def bad_leases(self) -> Iterator[str]:
        for id_, token in self.named("l:").items():
            row = self.live.get(id_, {})
            if row.get("ph") != b"l" or row.get("tk") != token:
                yield f"the lease {token!r} on {id_} is not that of a leased row"

    def bad_payloads(self) -> Iterator[str]:
        inputs = {id_ for id_, row in self.rows.items() if row.get("in") == b""}
        if inputs != self.named("i:").keys():
            yield f"inputs {sorted(self.named('i:'))} stand beside the rows of {sorted(inputs)}"
        outcomes, beside = {id_ for id_, row in self.ended.items() if row.get("oc") == b""}, self.named("o:").keys()
        wordless = {id_ for id_, row in self.ended.items() if row["ts"] == b"k"}
        if not outcomes - wordless <= beside <= outcomes:
            yield f"outcomes {sorted(beside)} stand beside the rows of {sorted(outcomes)}"
        failures = {id_ for id_, row in self.rows.items() if row.get("lf") == b""}
        if failures != self.named("f:").keys():
            yield f"failures {sorted(self.named('f:'))} stand beside the rows of {sorted(failures)}"
        for id_, data in (*self.named("i:").items(), *self.named("o:").items(), *self.named("f:").items()):
            if len(data) <= 64:
                yield f"a payload of {len(data)} bytes stands beside the row of {id_}"

    def bad_counts(self) -> Iterator[str]:
        ended = Counter(map(_kind, self.ended.values()))
        counted = {field: int(number) for field, number in self.index("counts").items()}
        if counted != dict(ended):
            yield f"counts say {counted}, the rows {dict(ended)}"

    def bad_labels(self) -> Iterator[str]:
        expected: dict[str, dict[str, float | None]] = defaultdict(dict)
        for id_, row in self.rows.items():
            for label in _text(row, "lb").split("\n") if "lb" in row else ():
                expected[f"label:{label}"][id_] = float(row["at"])
        for name in expected.keys() | {name for name in self.keys if name.startswith("label:")}:
            yield from self.differences(name, expected[name], self.index(name))

    def bad_retention(self) -> Iterator[str]:
        kept: dict[str, float | None] = {
            id_: float(row["ta"]) + float(row["kr"])
            for id_, row in self.ended.items()
            if row["ts"] == b"c" and "kr" in row and "oc" in row
        }
        yield from self.differences("results", kept, self.index("results"))
        listed = self.index("tombstones")
        for id_, text in self.named("t:").items():
            if id_ not in listed:
                yield f"the tombstone of {id_} is not listed"
            if id_ in self.rows:
                yield f"{id_} has a row and a tombstone"
            if not re.match(rb"[cfka][0-9]{13}.{6}", text, re.DOTALL):
                yield f"the tombstone of {id_} is {text!r}"

    def bad_lists_of_lanes(self) -> Iterator[str]:
        lists = self.named("serves:")
        if lists.keys() != (seen := self.index("lists").keys()):
            yield f"the lists of lanes {sorted(lists)} are not those {sorted(seen)} that will be forgotten"
        for name, listed in lists.items():
            lanes = sorted(each for each in listed if not each.endswith("|alone"))
            if sorted(listed) != sorted([*lanes, *(f"{each}|alone" for each in lanes)]):
                yield f"the list {name} has a lane without its twin: {sorted(listed)}"
            digest = sha256("\0".join(["1", *lanes]).encode()).hexdigest()[:32]
            if name != f"{digest}.{len(lanes)}":
                yield f"the list {name} has other lanes than its name says: {lanes}"

    def bad_signatures(self) -> Iterator[str]:
        for digest, data in self.index("signatures").items():
            parameters = msgspec.msgpack.decode(data)  # type: ignore[call-overload]
            if not re.fullmatch("[0-9a-f]{16}", digest):
                yield f"a signature is stored under {digest!r}"
            if any([*map(type, each)] != [str, str, bool] for each in parameters):
                yield f"the signature {digest} is {parameters}"
