"""Settings are data: one struct has names, defaults, checks and flags."""

from __future__ import annotations

import argparse
from typing import Any, get_type_hints

import msgspec
import pytest

from lash_redis.cli.worker import add_parser, settings_of
from lash_redis.core.errors import SettingsError
from lash_redis.core.fields import Field
from lash_redis.core.liveness import node_name
from lash_redis.core.options import OPTIONS, SUBMIT_OPTIONS
from lash_redis.pool.settings import POOL_SETTINGS, PoolSettings
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.identity import default_owner
from lash_redis.worker.settings import WORKER_SETTINGS, ChosenSettings, WorkerSettings, settings_from
from lash_redis.worker.worker import Worker


def parsed(*arguments: str) -> PoolSettings:
    """Return what ``lash-redis worker`` makes of its arguments."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return settings_of(parser.parse_args(["worker", "shop.tasks:lash", *arguments]))


def test_a_type_checker_sees_the_settings_as_they_are() -> None:
    """``ChosenSettings``, what ``Worker`` takes, has the names and types of the struct; queues may be any iterable."""
    chosen, held = get_type_hints(ChosenSettings), {name: field.type for name, field in WORKER_SETTINGS.items()}

    assert tuple(held) == WorkerSettings.__struct_fields__
    assert {**chosen, "queues": held["queues"]} == held


def test_every_setting_has_a_default_that_is_allowed() -> None:
    """A worker of which nothing is said is one that works."""
    assert settings_from({}) == WorkerSettings()
    for name, field in WORKER_SETTINGS.items():
        assert field.checked(name, field.default) == field.default


def test_a_command_line_without_flags_gives_the_defaults() -> None:
    """They stand in one place."""
    assert parsed() == PoolSettings(target="shop.tasks:lash")
    assert parsed("--name", "") == parsed()


def test_every_flag_sets_its_setting() -> None:
    """Times are seconds there and milliseconds here."""
    given = parsed(
        "--workers", "4", "--name", "pod", "--concurrency", "8", "--queues", "a,b",
        "--tasks", "shop.mail,shop.report", "--lease-ttl", "1.5", "--grace", "0", "--interrupt", "2",
        "--last-writes", "3", "--sweep", "0.5", "--poll", "4", "--import", "shop.orders,shop.mail",
        "--start-timeout", "0", "--no-discovery", "--burst", "--burst-delayed", "--url", "redis://:secret@host/1",
    )  # fmt: skip
    flags = [field.about.flag for field in (*POOL_SETTINGS.values(), *WORKER_SETTINGS.values())]

    assert (given.target, given.workers, given.owner_id("1")) == ("shop.tasks:lash", 4, "pod/1")
    assert given.worker == WorkerSettings(
        concurrency=8, queues=("a", "b"), lease_ttl_ms=1_500, grace_ms=0, interrupt_ms=2_000, last_writes_ms=3_000,
        sweep_ms=500, poll_ms=4_000, burst=True, burst_delayed=True,
    )  # fmt: skip
    assert (given.tasks, given.imports) == (("shop.mail", "shop.report"), ("shop.orders", "shop.mail"))
    assert not given.discovery
    assert (given.start_timeout_ms, given.url) == (0, "redis://:secret@host/1")
    assert "secret" not in repr(given)
    assert len([flag for flag in flags if flag.startswith("--")]) == 23


def test_a_flag_of_names_may_be_given_again() -> None:
    """The names of both count: the last one alone would leave work waiting in silence."""
    given = parsed("--queues", "a,b", "--queues", "c", "--import", "x", "--import", "y.z")

    assert (given.worker.queues, given.imports) == (("a", "b", "c"), ("x", "y.z"))


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--grace", "-1", "expected --grace to be seconds from 0 to 86400, got -1"),
        ("--lease-ttl", "0.5", "expected --lease-ttl to be seconds from 1 to 604800, got 0.5"),
        ("--poll", "9000", "expected --poll to be seconds from 0.01 to 3600, got 9000"),
        ("--workers", "0", "expected --workers to be an integer from 1 to 512, got 0"),
        ("--queues", "a,,b", "--queues: expected queue to be 1 to 64 characters"),
        ("--queues", "a,a", "expected --queues to be distinct, got a,a"),
        ("--import", "shop/tasks.py", r"--import: expected a module .*got 'shop/tasks.py'; did you mean shop.tasks\?"),
        ("--url", "host:6379", "--url: expected a URL that begins with redis://"),
    ],
)
def test_a_flag_is_refused_in_its_own_words(flag: str, value: str, said: str) -> None:
    """By its name and in its unit, which is not that of the setting in a program."""
    with pytest.raises(SettingsError, match=said):
        parsed(flag, value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--workers", "many"), "argument --workers: expected an integer, got 'many'"),
        (("--grace", "soon"), "argument --grace: expected a number of seconds, got 'soon'"),
        (("--namespace", "shop"), "a pool takes its namespace from its Lash"),
    ],
)
def test_a_command_line_that_cannot_be_read_says_what_is_expected(
    capsys: pytest.CaptureFixture[str], given: tuple[str, ...], said: str
) -> None:
    """A flag that the other verbs have names the way here."""
    with pytest.raises(SystemExit):
        parsed(*given)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("queues", (), "expected queues to name at least one queue, got none"),
        ("queues", "default", "queues to be a sequence of names, such as .*, or weights, such as .*, got 'default'"),
        ("queues", 5, "queues to be a sequence of names, such as .*, or weights, such as .*, got 5"),
        ("queues", ("a", "a"), "expected queues to be distinct, got a,a"),
        ("queues", ("a b",), "expected queue to be 1 to 64 characters"),
        ("concurrency", 0, "expected concurrency to be an integer from 1 to 10000, got 0"),
        ("lease_ttl_ms", 999, "expected lease_ttl_ms to be an integer from 1000 to 604800000, got 999"),
        ("grace_ms", -1, "expected grace_ms to be an integer from 0 to 86400000, got -1"),
        ("poll_ms", 9, "expected poll_ms to be an integer from 10 to 3600000, got 9"),
        ("owner", "me", "expected owner to be a LeaseOwner, got 'me'"),
        ("colour", 1, "expected a setting of a worker to be one of concurrency, queues, .*poll_ms, .*, got 'colour'"),
    ],
)
def test_a_bad_or_unknown_setting_is_refused_with_what_is_allowed(name: str, value: Any, said: str) -> None:
    """At construction, before anything is asked of the server."""
    with pytest.raises(SettingsError, match=said):
        Worker(ProcessRegistry("redis://127.0.0.1:1/0"), **{name: value})


@pytest.mark.parametrize(
    ("changed", "value", "said"),
    [
        ("target", "shop.py", r"MODULE:ATTR, .* got 'shop.py'; did you mean shop:lash\?"),
        ("target", "shop/tasks.py:ours", r"did you mean shop.tasks:ours\?"),
        ("target", ".shop:lash", r"the module's name must be absolute; did you mean shop:lash\?"),
        ("target", "", "got ''$"),
        ("imports", (".shop",), r"absolute; did you mean shop\?"),
        ("target", "shop:", "MODULE:ATTR"),
        ("target", "shop tasks:lash", "MODULE:ATTR"),
        ("workers", 0, "from 1 to 512, got 0"),
        ("workers", 513, "from 1 to 512, got 513"),
        ("name", "two words", "two words"),
        ("tasks", ("a", "a"), "expected tasks to be distinct, got a,a"),
        ("tasks", "mail", "expected tasks to be a sequence of names, got 'mail'"),
        ("tasks", ("",), "expected task name to be 1 to 200"),
    ],
)
def test_bad_settings_of_a_pool_are_refused(changed: str, value: object, said: str) -> None:
    """The message names the value and what is allowed."""
    with pytest.raises(SettingsError, match=said):
        PoolSettings(**({"target": "a:b"} | {changed: value}))  # type: ignore[arg-type]


def test_any_iterable_may_name_the_queues() -> None:
    """The settings hold them as a tuple, in their order."""
    assert Worker(ProcessRegistry("redis://127.0.0.1:1/0"), queues=iter("ba")).settings.queues == ("b", "a")


def test_the_machine_names_the_owners_that_nobody_named() -> None:
    """Of a pool and of a worker in a program alike, whatever the machine calls itself."""
    assert PoolSettings(target="a:b").owner_id("1") == f"{node_name()}/1"
    assert default_owner().owner_id == f"{node_name()}/embedded"


@pytest.mark.parametrize("fields", [POOL_SETTINGS, WORKER_SETTINGS, OPTIONS, SUBMIT_OPTIONS])
def test_a_default_is_what_its_check_returns(fields: dict[str, Field[Any]]) -> None:
    """So that what nobody gave needs no check: ``check_fields`` passes it over."""
    defaults = {name: field.default for name, field in fields.items() if field.default is not msgspec.NODEFAULT}
    assert {name: fields[name].checked(name, value) for name, value in defaults.items()} == defaults


@pytest.mark.parametrize("name", ["é", "a b", "x" * 246])
def test_a_name_of_a_pool_that_is_refused_is_shown_as_it_was_given(name: str) -> None:
    """With the length that leaves room for what stands behind it in an owner id."""
    with pytest.raises(SettingsError, match=r"to be 1 to 245 characters of .*, got '(é|a b|x{99}…)"):
        PoolSettings(target="shop.tasks:lash", name=name)
