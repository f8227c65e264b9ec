"""Every key in Redis: the data dictionary, partitions, and how a row names an owner.

``K`` is ``{lash:<namespace>:<partition>}``. The braces are a Redis Cluster hash tag, so that all keys of a script lie
in one slot (rule 8.1). Lease keys have a TTL, and the sets of idle workers, which end a minute after the last claim.

========================  ==========  ==================================================================================
key                       type        content
========================  ==========  ==================================================================================
``K:hdr``                 hash        uuid, partitions, schema, sequence (the last one given to a queued row),
                                      whole (1 once every partition has its header), due (when the next row or alarm
                                      becomes due, or earlier), watcher (the owner digest of the worker that was told),
                                      paused (the names in ``K:paused``), bounded (``queue=most`` of the bounded
                                      queues: how many rows that nobody has claimed may wait in this partition), clock
                                      (the latest time at which an alarm was set that looks at keys, ms)
``K:p:<id>``              hash        the row; its fields are listed in ``ROW_FIELDS``
``K:i:<id>``              string      the input, if over 64 bytes (a longer value ends the row's compact encoding)
``K:o:<id>``              string      the outcome, if over 64 bytes
``K:f:<id>``              string      the last failure that was tried again, if over 64 bytes
``K:l:<id>``              string      the lease: its token; expires at the lease's end (PXAT)
``K:paused``              hash        what is paused, ``q:<queue>`` or ``t:<task>``, to who paused it, when and why
``K:bounds``              hash        queue to ``revision most declared``: how many rows that nobody has claimed may
                                      wait in the namespace (empty: any number), and other content of the same revision
``K:new:<queue>``         zset        ids of a bounded queue that nobody has claimed yet, by when they were registered
``K:u:<key>``             string      the id that was registered last with a unique key, of which this is the digest
``K:lanes``               zset        the lanes that are not empty, by name
``K:names``               hash        number to lane, without ``|alone`` and a key, and lane to number, for what rows
                                      say of their lanes; last (the last number: only 4096 lanes get one)
``K:serves:<list>``       zset        the lanes of a list that workers serve, each with and without ``|alone``
``K:signatures``          hash        digest of a signature to its parameters, as its release has encoded them
``K:q:<lane>``            zset        queued ids by sequence, and by 2**52 + ms those that a claim could not read then;
                                      those of two losses and more under ``<lane>|alone``
``K:k:<lane key>``        zset        queued rows of one key of a keyed lane, as in ``K:q:``: the id, or ``id cost``
``K:turn:<lane>``         zset        keys of which a row may start, by their turn
``K:parked:<lane>``       zset        keys that have rows of which the first may not start
``K:seq:<name key>``      zset        ids of a sequence, in all lanes, by their number: what entered a lane and waits or
                                      runs; if it halts also what is uncertain, or abandoned and not resolved
``K:policies``            hash        scope to its policy in this partition: revision, keyed, limit, starts, window, ms;
                                      then what was declared last and does not hold, and when, ms
``K:scope:<scope>``       zset        the keyed lanes of a scope that are not empty, by name
``K:slots:<scope key>``   zset        leased and uncertain ids of a key by how many slots each has; the sum under no id,
                                      that of the uncertain ones under ``?``
``K:next:<scope key>``    string      lanes that were refused slots: since when the first has room, ms (0: none),
                                      and by turns how many it needs, lane; expires a day after it was written
``K:away:<lane>``         string      1: the lane was waited for, did not come for its slots, and no claim named it
                                      since; expires a day after it was written
``K:window:<scope key>``  string      when the window opened, ms, and how many started in it; expires at its end (PXAT)
``K:delayed``             zset        delayed ids by when they become due
``K:alarms``              zset        what a script is to do, ``kind name``, by when
``K:blocked``             zset        ids that wait for other processes, by since when
``K:awaits:<id>``         zset        the ids that a blocked row waits for, ``*`` while its group is held open; a
                                      group's last until its members have ended, whatever became of it
``K:then:<id>``           zset        the rows that wait for this one: 1 those that need its completion, 0 the others
``K:members:<id>``        zset        the members of the group that this row continues, by the order of their joining
``K:leases``              zset        leased ids by expiry, lapsed ones included
``K:held``                zset        leased ids under whose lease user code has not begun
``K:uncertain``           zset        ids by since when
``K:outside``             zset        externally owned ids by since when
``K:asked``               zset        ids with an abandon request, by when it came
``K:unresolved``          zset        abandoned ids without a resolution, by when they ended
``K:of:<owner>``          zset        ids that this owner holds, and owner-bound ids that it started and that have not
                                      ended. Score: claim number x 1000 + number in the batch, else minus the sequence
``K:holders``             zset        owners whose ``K:of:`` is not empty, by digest
``K:owners``              hash        owner digest to the digest of its machine, a space, and the owner with liveness
``K:on:<machine>``        zset        owners in ``K:owners`` that ran on one machine, by digest; under ``-`` those
                                      that are recorded dead
``K:claims``              hash        owner digest to its last claim number; 2^53 for one that is recorded dead
``K:dead``                hash        owner digest to its recorded death
``K:seen``                zset        owner digests by their last call
``K:lists``               zset        lists of lanes by the last call of a worker that serves them
``K:done:<kind>``         zset        terminal ids of one ``task|state`` by when they ended; of abandoned ones those
                                      with a resolution
``K:counts``              hash        terminal rows by ``task|state``
``K:results``             zset        completed ids whose results are kept for a time of their own, by until when
``K:label:<label>``       zset        ids with this label, ``name=value``, by when they were registered
``K:t:<id>``              string      what is kept of a row whose id its caller chose and that retention forgot: state,
                                      when it ended (13 digits, ms), content; with a TTL
``K:tombstones``          zset        ids of ``K:t:``, by until when they are kept
``K:schedules``           zset        the schedules, by name
``K:schedule:<name>``     hash        one schedule; its fields are listed in ``SCHEDULE_FIELDS``
``K:ticks:<name>``        zset        the last 100 instants whose ticks were submitted, or refused by a full queue, ms
``K:idle:<queue>``        zset        workers that wait for wake-ups, by since when
========================  ==========  ==================================================================================

A worker or a waiting client subscribes to the channel ``K:to:<name>``. The name is its owner digest, or one of its own.
"""

from __future__ import annotations

import functools
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from lash_redis.core.labels import label_key
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.options import OPTIONS
from lash_redis.core.places import INDEXES, LEASED, PLACES
from lash_redis.registry.codec import DISPOSITION_CODES, STATUS_CODES

SCHEMA_VERSION = 5

# Indexes by which a page of rows is read; ``owned_index`` names one more.
LEASES: Final = LEASED.index
ASKED: Final = "asked"
AWAITS: Final = "awaits:"
THEN: Final = "then:"
MEMBERS: Final = "members:"
_OWNED: Final = "of:"
_ENDED: Final = "done:"
_LABEL: Final = "label:"
UNRESOLVED: Final = "unresolved"

# What follows "K:" up to a name, the Redis type, and whether the key must have a TTL.
DATA_DICTIONARY: dict[str, tuple[str, bool]] = {
    "hdr": ("hash", False),
    "p:": ("hash", False),
    "i:": ("string", False),
    "o:": ("string", False),
    "f:": ("string", False),
    "l:": ("string", True),
    "paused": ("hash", False),
    "bounds": ("hash", False),
    "new:": ("zset", False),
    "u:": ("string", False),
    "lanes": ("zset", False),
    "names": ("hash", False),
    "serves:": ("zset", False),
    "signatures": ("hash", False),
    "k:": ("zset", False),
    "turn:": ("zset", False),
    "parked:": ("zset", False),
    "policies": ("hash", False),
    "scope:": ("zset", False),
    "slots:": ("zset", False),
    "next:": ("string", True),
    "away:": ("string", True),
    "window:": ("string", True),
    "seq:": ("zset", False),
    **dict.fromkeys(INDEXES, ("zset", False)),
    "alarms": ("zset", False),
    AWAITS: ("zset", False),
    THEN: ("zset", False),
    MEMBERS: ("zset", False),
    ASKED: ("zset", False),
    UNRESOLVED: ("zset", False),
    _OWNED: ("zset", False),
    "holders": ("zset", False),
    "owners": ("hash", False),
    "on:": ("zset", False),
    "claims": ("hash", False),
    "dead": ("hash", False),
    "seen": ("zset", False),
    "lists": ("zset", False),
    _ENDED: ("zset", False),
    "counts": ("hash", False),
    "results": ("zset", False),
    _LABEL: ("zset", False),
    "t:": ("string", True),
    "tombstones": ("zset", False),
    "schedules": ("zset", False),
    "schedule:": ("hash", False),
    "ticks:": ("zset", False),
    "idle:": ("zset", True),
}


def _listed(codes: Mapping[Any, str]) -> str:
    return ", ".join(f"{code} {meaning.value}" for meaning, code in codes.items())


ROW_FIELDS: dict[str, str] = {
    "d": f"disposition: {_listed(DISPOSITION_CODES)}; then c if somebody chose the id. Whoever asks for a row is "
    "answered that as a field ch",
    "ph": f"place: {', '.join(f'{place.code} {place.name}' for place in PLACES)}; empty once terminal",
    "ln": "lane: its number in K:names, and |key of a keyed one; of a lane without a number =queue|task|digest, "
    "without |alone, and of a keyed one =queue|task|digest|scopes|key. Whoever asks for a row is answered the "
    "lane in full",
    "sq": "sequence, its place in the lane; none before it first enters one",
    "nw": "1 while it counts in K:new:, since nobody has claimed it; of bounded queues only",
    "uq": "digest of its task and unique key, if it is unique",
    "ud": "id of the submit that put it off last (debounce)",
    "du": "due at, ms: when a delayed row enters its lane, or last did",
    "xp": "expires at, ms: when it is cancelled if nobody has started it",
    "tr": "runs that failed and were tried again",
    "rt": "token of the lease under which it was last tried again",
    "lf": "failure of the last run that was tried again; empty if it stands in K:f:",
    "re": "runs that their holder stopped and gave back",
    "in": "input, [arguments, by name] or [metadata]; empty if it stands in K:i:",
    "cd": "content digest, if the input is long or has a mapping of several keys",
    "at": "registered at, ms",
    "gr": "grantee, if the registration names one",
    "rp": "id of the process that this one submits again",
    "lb": "labels, name=value, a line each",
    "ho": "holder's digest",
    "tk": "lease token",
    "fe": "fencing token",
    "ex": "lease expires at, ms; empty once terminal",
    "ca": "claimed at, ms; none if that is when it was first started",
    "fs": "starter's digest; none while it is the holder under whose lease it was first started",
    "fa": "first started at, ms",
    "ft": "token of the first start, with fs; empty if it was recorded without a lease",
    "st": "token of the latest start, if another",
    "lo": "losses",
    "lt": "the last token counted as a loss",
    "ar": "abandon request",
    "cr": "cancel request",
    "w": "channels of the clients that wait for the end, separated by spaces; empty once it has come",
    "ts": f"terminal state: {_listed(STATUS_CODES)}",
    "ta": "ended at, ms",
    "oc": "outcome; empty if it stands in K:o:, or is a cancel for the reason that the request gives; none of a "
    "completed row whose result was forgotten",
    "rs": "resolution of an abandoned process",
    "rk": "its kind: h happened, d did not happen, a accepted",
    "aw": "how it waits for others: c it needs their completion, r it runs all the same; then g if it continues a "
    "group; then the first that did not complete, and its state",
    "dp": "1 once another row has waited for it",
    "gp": "the id of the row that continues the group of which it is a member",
    "by": "the authority that completed externally owned work",
} | {
    option.about.row_field: f"option {name}, if not the default"
    for name, option in OPTIONS.items()
    if option.about.row_field
}


SCHEDULE_FIELDS: dict[str, str] = {
    "rv": "revision",
    "sp": "when it ticks: 'cron EXPRESSION' or 'every MS'",
    "zo": "time zone",
    "mi": "what becomes of missed ticks: skip, latest, all:N",
    "la": "a tick that comes later than this is missed, ms",
    "dg": "digest of what code declares under the revision",
    "d": "disposition of its processes",
    "ln": "their lane",
    "in": "their input",
    "cd": "their content digest",
    "fr": "the instants up to this one are decided, ms",
    "du": "when it is looked at next, ms; empty: never, or it is paused",
    "pa": "paused at, ms",
    "pb": "who paused it, when by their clock, and why",
    "nm": "how many ticks were missed",
    "lm": "the last of them, ms",
    "nr": "how many ticks a bounded queue refused",
    "lr": "those of them that were refused last, ms, between spaces",
    "de": "last declared by a worker at, ms",
    "un": "not declared by a worker that has its task, since, ms",
    "ot": "declared with other content of the same revision at, ms",
    "x…": "a further field or an ask of its processes (see register.lua), after the x",
}


def partition_prefix(namespace: str, partition: int) -> str:
    """Return ``K`` of one partition."""
    return f"{{lash:{namespace}:{partition}}}"


def header_key(namespace: str, partition: int) -> str:
    """Return the key of one partition's header, which exists as long as the namespace does."""
    return f"{partition_prefix(namespace, partition)}:hdr"


def partition_of(process_id: str, partitions: int) -> int:
    """Return the partition of a process: that of its route, for ever (rule 8.1)."""
    if partitions == 1:
        return 0
    return zlib.crc32(route_of(process_id).encode()) % partitions


def route_of(process_id: str) -> str:
    """Return what decides about the partition of an id: what stands before its first ``::``, all of it without one."""
    return process_id.partition("::")[0] or process_id


@functools.lru_cache(maxsize=4096)
def _digest(owner_id: str, incarnation_id: str) -> str:
    return urlsafe_b64encode(sha256(f"{owner_id}\0{incarnation_id}".encode()).digest()[:12]).decode()


def owner_digest(owner: LeaseOwner) -> str:
    """Return the short name of an owner in rows: 96 bits of SHA-256 over owner id and incarnation, 16 characters."""
    return _digest(owner.owner_id, owner.incarnation_id)


def owned_index(digest: str) -> str:
    """Return the index of what an owner holds, and of owner-bound work that it started and that has not ended."""
    return f"{_OWNED}{digest}"


def label_index(name: str, value: str) -> str:
    """Return the index of the rows with a label."""
    return f"{_LABEL}{label_key(name, value)}"


def channel(namespace: str, partition: int, name: str) -> str:
    """Return the channel on which one worker or client is notified of events in one partition."""
    return f"{partition_prefix(namespace, partition)}:to:{name}"
