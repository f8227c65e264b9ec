"""The table of error replies, line by line, and what becomes of redis-py's errors."""

from __future__ import annotations

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser

from lash_redis.core.errors import LashError, RegistryUnavailable, SettingsError
from lash_redis.registry.transport.errors import reply_of, translated
from lash_redis.registry.transport.replies import NOT_UNDERSTOOD, RAISED_BY_SCRIPT, TABLE, Meaning, meaning_of
from tests.fault_kinds import REPLIES

NOW, REFUSED, UNKNOWN = Meaning.NOT_NOW, Meaning.REFUSED, Meaning.NOT_UNDERSTOOD

IN_SCRIPT = f"script: {'0a' * 20}, on @user_script:7."
# A whole reply, its meaning, whether something may have been applied, whether connections are dropped.
EXPECTED = [
    ("READONLY You can't write against a read only replica.", NOW, False, True),
    ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", NOW, False, True),
    ("LOADING Redis is loading the dataset in memory", NOW, False, True),
    ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", NOW, False, True),
    ("CLUSTERDOWN The cluster is down", NOW, False, True),
    ("TRYAGAIN Multiple keys request during rehashing of slot", NOW, False, False),
    ("BUSY Redis is busy running a script.", NOW, False, False),
    ("OOM command not allowed when used memory > 'maxmemory'.", NOW, False, False),
    ("MISCONF Errors writing to the AOF file: No space left on device", NOW, False, False),
    ("NOREPLICAS Not enough good replicas to write.", NOW, False, False),
    ("ERR max number of clients reached", NOW, False, True),
    ("MOVED 3999 127.0.0.1:6381", REFUSED, False, True),
    ("ASK 3999 127.0.0.1:6381", REFUSED, False, True),
    ("CROSSSLOT Keys in request don't hash to the same slot", REFUSED, False, True),
    ("ERR This instance has cluster support disabled", REFUSED, False, True),
    ("ERR SELECT is not allowed in cluster mode", REFUSED, False, True),
    ("NOAUTH Authentication required.", REFUSED, False, True),
    ("WRONGPASS invalid username-password pair or user is disabled.", REFUSED, False, True),
    ("ERR AUTH <password> called without any password configured for the default user.", REFUSED, False, True),
    ("ERR Client sent AUTH, but no password is set", REFUSED, False, True),
    ("ERR invalid password", REFUSED, False, True),
    ("DENIED Redis is running in protected mode", REFUSED, False, True),
    ("NOPROTO unsupported protocol version", REFUSED, False, True),
    ("ERR DB index is out of range", REFUSED, False, True),
    ("ERR unknown command 'evalsha', with args beginning with: ", REFUSED, True, True),
    ("ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS' ", REFUSED, True, True),
    ("ERR unknown command 'EVALSHA', with args beginning with: ", REFUSED, True, True),
    ("NOPERM User ada has no permissions to access a channel used in the script", REFUSED, True, False),
    (
        "ERR The user executing the script can't run this command or subcommand script: 8443, on @user_script:205.",
        REFUSED, True, False,
    ),
    (
        "ERR ACL failure in script: User ada has no permissions to run the 'hset' command script: on @user_script:205.",
        REFUSED, True, False,
    ),
    (
        "ERR The user executing the script can't publish to the channel mentioned in the command script: 8443",
        REFUSED, True, False,
    ),
    (
        "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments",
        REFUSED, True, False,
    ),
    ("ERR upstream failure", UNKNOWN, True, True),
    ("ERR Error running script (call to f_1): @user_script:1: READONLY", UNKNOWN, True, True),
    ("BUSYGROUP Consumer Group name already exists", UNKNOWN, True, True),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", UNKNOWN, True, True),
    (f"ERR user_script:7: attempt to compare nil with number {IN_SCRIPT}", UNKNOWN, True, False),
    (f"WRONGTYPE Operation against a key holding the wrong kind of value {IN_SCRIPT}", UNKNOWN, True, False),
    ("ERR user_script:7: bad argument #1 to 'find' script: on @user_script:7.", UNKNOWN, True, False),
    ("ERR user_function:2: attempt to index local 'x' script: on @user_function:2.", UNKNOWN, True, False),
    ("WRONGTYPE Operation against a key script: lash_get_01ab, on @user_function:2.", UNKNOWN, True, False),
    ("", UNKNOWN, True, True),
]  # fmt: skip


def error_of(reply: str) -> Exception:
    """Return the error that redis-py makes of a reply."""
    error: Exception = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]
    return error


@pytest.mark.parametrize(("reply", "meaning", "maybe_applied", "drops"), EXPECTED)
def test_a_reply_means_what_its_line_says(reply: str, meaning: Meaning, maybe_applied: bool, drops: bool) -> None:
    """Whole, and also once redis-py has taken its first word off."""
    for line in (meaning_of(reply), reply_of(error_of(reply))):
        assert (line.meaning, line.maybe_applied, line.drops) == (meaning, maybe_applied, drops)


def test_every_line_of_the_table_is_met() -> None:
    """By a reply above, which no line before it takes."""
    assert [meaning_of(reply) for reply, *_ in EXPECTED[: len(TABLE)]] == list(TABLE)
    assert all(
        meaning_of(reply) in (NOT_UNDERSTOOD, RAISED_BY_SCRIPT) for reply, meaning, *_ in EXPECTED if meaning is UNKNOWN
    )


def test_the_kinds_of_fault_name_every_meaning() -> None:
    """So that a suite which tries them all meets each."""
    assert {meaning_of(reply).meaning for reply in REPLIES.values()} == set(Meaning)


@pytest.mark.parametrize("reply", [each[0] for each in EXPECTED])
def test_once_open_every_reply_is_not_now(reply: str) -> None:
    """What runs must not end by it; the text of the server is kept."""
    error = translated("claim", error_of(reply), opening=False)

    assert isinstance(error, RegistryUnavailable)
    assert error.maybe_applied is meaning_of(reply).maybe_applied
    assert reply in str(error)


@pytest.mark.parametrize("reply", [each[0] for each in EXPECTED])
def test_while_opening_what_is_refused_is_a_setting(reply: str) -> None:
    """With the server's own words and what they mean; what time cures is not."""
    error, line = translated("open", error_of(reply), opening=True), meaning_of(reply)

    assert isinstance(error, SettingsError) is (line.meaning is REFUSED)
    if line.meaning is REFUSED:
        assert line.text in str(error)
        assert reply in str(error)


@pytest.mark.parametrize("error", [exceptions.ConnectionError("cut"), exceptions.TimeoutError("slow"), OSError("odd")])
def test_a_lost_connection_may_have_been_too_late(error: Exception) -> None:
    """The script may have run; the server may have become another one."""
    ours = translated("claim", error, opening=False)

    assert isinstance(ours, RegistryUnavailable)
    assert ours.maybe_applied
    assert reply_of(error).drops


def test_what_was_never_sent_was_not_applied() -> None:
    """There was no connection, or none was free."""
    refused = exceptions.ConnectionError("connection refused")
    refused.never_sent = True  # type: ignore[attr-defined]

    for error in (refused, exceptions.ConnectionError("No connection available.")):
        ours = translated("claim", error, opening=False)
        assert isinstance(ours, RegistryUnavailable)
        assert not ours.maybe_applied


def test_of_a_read_it_is_not_said_whether_it_was_applied() -> None:
    """Nothing was to be applied. Of a write it is said, also what is known only once it was tried again."""
    lost = exceptions.ConnectionError("cut")
    assert str(translated("get", lost, opening=False, reads=True)) == "no answer from the server: cut"

    error = RegistryUnavailable("start", "cut", maybe_applied=False)
    assert str(error).endswith("; nothing was changed")
    error.maybe_applied = True
    assert str(error).endswith("; what was asked for may have been done")


def test_an_error_of_redis_py_that_is_no_reply_is_not_understood() -> None:
    """It is not now, and told."""
    error = exceptions.InvalidResponse("Protocol Error")

    assert reply_of(error) is NOT_UNDERSTOOD
    assert isinstance(translated("claim", error, opening=True), LashError)


def test_a_fakeredis_without_scripts_is_told_what_it_lacks() -> None:
    """It names commands in small letters, where a server repeats what was sent."""
    assert (
        "pip install 'fakeredis[lua]'" in meaning_of("ERR unknown command 'evalsha', with args beginning with: ").text
    )
    assert "fakeredis" not in meaning_of("ERR unknown command 'EVALSHA', with args beginning with: ").text
