"""The table of error replies: what each means, whatever stands between us and the server (rule 8.13). Pure.

A script's own answers (``MISMATCH``, ``LOST`` and the others) are no errors: ``calls/refusals.py`` reads them.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final

import msgspec


class Meaning(Enum):
    """What an error reply says of the call."""

    NOT_NOW = "not now: the same call may succeed later, by itself"
    REFUSED = "refused: a setting while a namespace is being opened; later not now, and somebody must do something"
    NOT_UNDERSTOOD = "nobody knows what it means: not now, and told loudly"


class Reply(msgspec.Struct, frozen=True):
    """One line of the table.

    Attributes:
        begins: how the reply begins: its first word, or several.
        meaning: what it says.
        maybe_applied: whether something may have been applied all the same.
        drops: the server may not be what it was: connections are opened anew, and its name is resolved again.
        text: what is the matter, for people.
        is_of_rights: the user lacks a right, so that a line for the server's ACL cures it.
    """

    begins: str
    meaning: Meaning
    maybe_applied: bool
    drops: bool
    text: str
    is_of_rights: bool = False


def _not_now(begins: str, text: str, *, drops: bool = False) -> Reply:
    return Reply(begins, Meaning.NOT_NOW, maybe_applied=False, drops=drops, text=text)


def _refused(begins: str, text: str, *, maybe_applied: bool = False) -> Reply:
    return Reply(begins, Meaning.REFUSED, maybe_applied, drops=True, text=text)


def _no_right(begins: str) -> Reply:
    text = "the server's ACL does not allow the user this"
    return Reply(begins, Meaning.REFUSED, maybe_applied=True, drops=False, text=text, is_of_rights=True)


_IN_A_SCRIPT: Final = re.compile(r"script:(?: \w+,)? on @user_(?:script|function):\d+")

_CLUSTER: Final = "this is a node of a Redis Cluster: name it as redis+cluster://HOST:PORT,HOST:PORT"
_NO_CLUSTER: Final = "the keys of one call lie in several slots of a cluster: is there a proxy that changes them?"
_NO_SENTINEL: Final = "this is a server and no Sentinel: name the Sentinels, or the server as redis://HOST:PORT"
_WRONG_PASSWORD: Final = "the user or the password in the URL is not the server's"  # noqa: S105 - a sentence
_NO_PASSWORD: Final = "the URL has a password, and the server wants none"  # noqa: S105 - a sentence
_WANTS_PASSWORD: Final = "the server wants a password: redis://:PASSWORD@host or redis://USER:PASSWORD@host"  # noqa: S105

TABLE: Final = (
    _not_now("READONLY", "the server is a replica", drops=True),
    _not_now("MASTERDOWN", "the server is a replica that has lost its primary", drops=True),
    _not_now("LOADING", "the server is loading its data", drops=True),
    _not_now("UNBLOCKED", "the server became a replica", drops=True),
    _not_now("CLUSTERDOWN", "the cluster cannot serve", drops=True),
    _not_now("TRYAGAIN", "the cluster is moving a slot"),
    _not_now("BUSY", "the server is busy with a script"),
    _not_now("OOM", "the server is at its maxmemory"),
    _not_now("MISCONF", "the server cannot write its data to disk"),
    _not_now("NOREPLICAS", "too few replicas are there"),
    _not_now("ERR max number of clients", "the server has too many clients", drops=True),
    _refused("MOVED", _CLUSTER),
    _refused("ASK", _CLUSTER),
    _refused("CROSSSLOT", _NO_CLUSTER),
    _refused("ERR This instance has cluster support disabled", "this is one server and no cluster: redis://HOST:PORT"),
    _refused("ERR SELECT", "a cluster has no database but 0: leave the number out"),
    _refused("NOAUTH", _WANTS_PASSWORD),
    _refused("WRONGPASS", _WRONG_PASSWORD),
    _refused("ERR AUTH", _NO_PASSWORD),
    _refused("ERR Client sent AUTH,", _NO_PASSWORD),
    _refused("ERR invalid password", _WRONG_PASSWORD),
    _refused("DENIED", "the server is in protected mode: it wants a password, or a local client"),
    _refused("NOPROTO", "the server does not speak version 3 of the protocol"),
    _refused("ERR DB index", "the server has no database of this number"),
    # As fakeredis words it; a server repeats the name as it was sent, EVALSHA.
    _refused(
        "ERR unknown command 'evalsha', with args",
        "this fakeredis runs no scripts: pip install 'fakeredis[lua]'",
        maybe_applied=True,
    ),
    _refused("ERR unknown command 'SENTINEL', with args", _NO_SENTINEL, maybe_applied=True),
    _refused("ERR unknown command", "the server, or what stands before it, lacks a command", maybe_applied=True),
    # A script meets these in its middle too: then what it wrote before stands.
    _no_right("NOPERM"),
    _no_right("ERR The user executing the script"),  # Redis 7.0, of what the script calls
    _no_right("ERR ACL failure in script:"),  # Redis 7.2, Valkey
)  # fmt: skip
NOT_UNDERSTOOD: Final = Reply(
    "", Meaning.NOT_UNDERSTOOD, maybe_applied=True, drops=True, text="nobody knows this reply"
)
# A script met an error that is none of the server's state: its reply ends with where. It may have written before.
RAISED_BY_SCRIPT: Final = Reply(
    "", Meaning.NOT_UNDERSTOOD, maybe_applied=True, drops=False, text="a script met an error that nobody foresaw"
)
NO_ANSWER: Final = Reply("", Meaning.NOT_NOW, maybe_applied=True, drops=True, text="the connection broke")
NEVER_SENT: Final = Reply("", Meaning.NOT_NOW, maybe_applied=False, drops=True, text="there is no connection")
NO_ROOM: Final = Reply("", Meaning.NOT_NOW, maybe_applied=False, drops=False, text="all connections are busy")


def meaning_of(reply: str) -> Reply:
    """Return the line of the table for an error reply, whole as the server sent it."""
    for line in TABLE:
        if reply == line.begins or reply.startswith(f"{line.begins} "):
            return line
    return RAISED_BY_SCRIPT if _IN_A_SCRIPT.search(reply) else NOT_UNDERSTOOD


def text_of(error: Any) -> str:
    """Return an error reply whole: redis-py takes the first word off those that it knows."""
    word = getattr(error, "status_code", None)
    return f"{word} {error}" if word else str(error)
