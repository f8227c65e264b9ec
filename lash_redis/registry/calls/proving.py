"""What a user of the server must be allowed, and what is said if something is missing. Pure (rule 8.14).

A script that meets a command, a key or a channel that its user may not have is ended in its middle, behind its commit
if it was about to publish. So it is proven before the first one runs that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from lash_redis.registry.calls.call import Namespace
from lash_redis.registry.keys import DATA_DICTIONARY, channel

# Every command that the scripts call, with the arguments that follow its key. They are checked as they are called: a
# server was seen to crash when it was asked about a command without the arguments that it needs.
READS: Final[dict[str, tuple[str, ...]]] = {
    "EXISTS": (), "HEXISTS": ("f",), "HGET": ("f",), "HGETALL": (), "HMGET": ("f",), "HSCAN": ("0",), "MGET": (),
    "ZCARD": (), "ZCOUNT": ("0", "0"), "ZMSCORE": ("m",),
    "ZRANGE": ("0", "0"), "ZRANGEBYLEX": ("-", "+"), "ZRANGEBYSCORE": ("0", "0"),
}  # fmt: skip
WRITES: Final[dict[str, tuple[str, ...]]] = {
    "DEL": (), "HDEL": ("f",), "HINCRBY": ("f", "1"), "HSET": ("f", "v"), "PEXPIRE": ("1",), "SET": ("v",),
    "ZADD": ("0", "m"), "ZPOPMIN": (), "ZREM": ("m",), "ZREMRANGEBYSCORE": ("0", "0"),
}  # fmt: skip
WITHOUT_KEY: Final = {"TIME": (), "PING": (), "INFO": (), "UNSUBSCRIBE": ("c",)}
WITH_KEYS: Final = ("ZINTER", "EVALSHA", "EVAL")
IN_CHANNELS: Final[dict[str, tuple[str, ...]]] = {"PUBLISH": ("m",), "SUBSCRIBE": ()}
IN_CHANNELS_OF_A_SLOT: Final[dict[str, tuple[str, ...]]] = {"SPUBLISH": ("m",), "SSUBSCRIBE": ()}  # on a cluster
COMMANDS: Final = sorted([*READS, *WRITES, *WITHOUT_KEY, *WITH_KEYS, *IN_CHANNELS])
COMMANDS_OF_A_CLUSTER: Final = sorted([*READS, *WRITES, *WITHOUT_KEY, *WITH_KEYS, *IN_CHANNELS_OF_A_SLOT])

# The script that asks the server. It names no key and only asks, so that it runs for whoever may run scripts at all, on
# a replica and at maxmemory too. No script guards a write with pcall (rule 8.3); here nothing is written, and a server
# that does not know a command answers with an error.
SOURCE: Final = """#!lua flags=no-writes
local refused = {}
for number, line in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(line, '%S+') do
    words[#words + 1] = word
  end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if not (known and allowed) then
    refused[#refused + 1] = number
  end
end
return refused
"""


class Missing(msgspec.Struct, frozen=True):
    """What the server's ACL does not allow."""

    commands: list[str]
    unreadable: list[str]
    unwritable: list[str]
    channels: list[str]

    def __bool__(self) -> bool:
        return any((self.commands, self.unreadable, self.unwritable, self.channels))


class Proof:
    """What is asked of the server for some partitions, and what its answer means.

    Args:
        namespace: whose keys and channels.
        partitions: their numbers, one at least.
        to_read: nothing will be written and no message heard.
        in_slots: messages are published and heard within a slot, as on a cluster.
    """

    def __init__(
        self, namespace: Namespace, partitions: Sequence[int], *, to_read: bool = False, in_slots: bool = False
    ) -> None:
        self._name = namespace.name
        self._writes = {} if to_read else WRITES
        self._with_list = ("EVALSHA", "EVAL") if to_read else WITH_KEYS
        self._first = namespace.header_key(partitions[0])
        self._keys = [key for each in partitions for key in _keys(namespace, each, whole=each == partitions[0])]
        self._in_channels = IN_CHANNELS_OF_A_SLOT if in_slots else IN_CHANNELS
        self._channels = [] if to_read else [channel(namespace.name, each, "x") for each in partitions]
        self.lines = list(self._asked())

    def _asked(self) -> Iterator[str]:
        for key in self._keys:
            for command, args in (READS | self._writes).items():
                if key == self._first or command in _TELLING:
                    yield _line(command, key, *args)
        for command, args in WITHOUT_KEY.items():
            yield _line(command, *args)
        yield from (self._with_keys(command) for command in self._with_list)
        for name in self._channels:
            yield from (_line(command, name, *args) for command, args in self._in_channels.items())

    def _with_keys(self, command: str) -> str:
        if command == "ZINTER":
            return _line(command, "2", self._first, self._first)
        return _line(command, "x", "1", self._first)

    def missing(self, refused: Sequence[int]) -> Missing:
        """Return what is missing, from the numbers of the lines that were refused; the first line is number 1.

        A refusal says only that a command with a key is not allowed. The key is what is missing if no command of that
        kind is allowed with it, and else the command is.
        """
        no = {self.lines[number - 1] for number in refused}
        unreadable = [key for key in self._keys if not self._is_any_allowed(READS, key, no)]
        unwritable = [key for key in self._keys if self._writes and not self._is_any_allowed(WRITES, key, no)]
        channels = [name for name in self._channels if not self._is_any_allowed(self._in_channels, name, no)]
        commands = [
            command
            for kind, names, lost in (
                (READS, [self._first], unreadable),
                (self._writes, [self._first], unwritable),
                (self._in_channels, self._channels[:1], channels),
            )
            for name in names
            for command, args in kind.items()
            if _line(command, name, *args) in no and name not in lost
        ]
        commands += [command for command, args in WITHOUT_KEY.items() if _line(command, *args) in no]
        if self._first not in (*unreadable, *unwritable):
            commands += [command for command in self._with_list if self._with_keys(command) in no]
        return Missing(sorted(commands), unreadable, unwritable, channels)

    def _is_any_allowed(self, kind: dict[str, tuple[str, ...]], name: str, no: set[str]) -> bool:
        lines = {_line(command, name, *args) for command, args in kind.items()}
        return bool((lines & set(self.lines)) - no)

    def refusal(self, user: str, missing: Missing) -> str:
        """Return what is said to somebody whose user lacks something: all of it."""
        parts = [
            f"{what} {self._shown(names, whole)}"
            for what, names, whole in (
                ("the commands", missing.commands, []),
                ("reading the keys", missing.unreadable, self._keys),
                ("writing the keys", missing.unwritable, self._keys),
                ("the channels", missing.channels, self._channels),
            )
            if names
        ]
        return f"the ACL user {user!r} lacks: {', '.join(parts)}"

    def _shown(self, names: Sequence[str], whole: Sequence[str]) -> str:
        """Return some names, or if nothing else was asked about the pattern that stands for all of them."""
        if names == whole:
            return _pattern(self._name)
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return ", ".join(names[:8]) + more


def remedy(
    user: str, namespace: str, *, to_read: bool = False, in_slots: bool = False, also: Sequence[str] = ()
) -> str:
    """Return the sentence with the line that allows a user all that is needed."""
    return f"This allows it: {acl_line(user, namespace, to_read=to_read, in_slots=in_slots, also=also)}"


def acl_line(
    user: str, namespace: str, *, to_read: bool = False, in_slots: bool = False, also: Sequence[str] = ()
) -> str:
    """Return the command that allows a user what one namespace needs, and no more.

    Args:
        user: the name.
        namespace: the name.
        to_read: only to look at it.
        in_slots: on a cluster.
        also: what the user's connections send besides, which depends on how they are made.
    """
    needed = (
        sorted([*READS, *WITHOUT_KEY, "EVALSHA", "EVAL"])
        if to_read
        else COMMANDS_OF_A_CLUSTER
        if in_slots
        else COMMANDS
    )
    names = f"~{_pattern(namespace)}" + ("" if to_read else f" &{_pattern(namespace)}")  # EVAL needs more than %R~
    commands = [*(command.lower() for command in needed), "config|get", *also]
    return f"ACL SETUSER {user} {names} {' '.join(f'+{command}' for command in commands)}"


# Some commands of either kind: one that is allowed with a key tells that the key is.
_TELLING: Final = ("EXISTS", "MGET", "HMGET", "ZRANGEBYSCORE", "DEL", "SET", "HSET", "ZADD")


def _keys(namespace: Namespace, partition: int, *, whole: bool) -> list[str]:
    """Return one key of each kind in a partition; of another partition than the first only its header."""
    header = namespace.header_key(partition)
    if not whole:
        return [header]
    prefix = header.removesuffix("hdr")
    return [f"{prefix}{name}x" if name.endswith(":") else f"{prefix}{name}" for name in DATA_DICTIONARY]


def _line(*words: str) -> str:
    return " ".join(words)


def _pattern(namespace: str) -> str:
    """Return what all keys and channels of a namespace begin with, as an ACL names them."""
    return f"{{lash:{namespace}:*"
