"""``cancel`` and ``replay`` of many: counted and shown first, done with ``--yes``, and said in words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import fakeredis
import pytest

from lash_redis.cli import cancel, main, ps, replay, show
from lash_redis.core.errors import OutcomePruned, SettingsError
from lash_redis.core.model import ProcessStatus
from lash_redis.core.outcomes import Failure
from lash_redis.operate.explain import explain
from lash_redis.registry.calls.forgetting import Retention
from lash_redis.registry.calls.replaying import replay_id
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, RERUNNABLE, held, work
from tests.look import record_of


@pytest.fixture
async def registry() -> AsyncIterator[ProcessRegistry]:
    """Return a registry with waiting work of two queues, and some that failed."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()), "many")
    await registry.register_many([work(f"m{number}", queue="mail") for number in range(12)])
    await registry.register_many([work(f"p{number}", labels={"tenant": "42"}) for number in range(2)])
    await registry.register(work("bad", RERUNNABLE, task="send"))
    await registry.complete(await held(registry, "bad", ADA), Failure("E", "no"))
    yield registry
    await registry.aclose()


async def ran(registry: ProcessRegistry, *argv: str) -> str:
    """Return what a command prints."""
    args = main._parser([argv[0]]).parse_args(argv)
    verb = cancel._cancel if argv[0] == "cancel" else replay._replay
    return await verb(registry, args)


WHO = ("--by", "ops", "--reason", "enough")


async def test_a_cancel_of_many_shows_first_what_it_would_do(registry: ProcessRegistry) -> None:
    """And does nothing until it is told to."""
    shown = await ran(registry, "cancel", "--queue", "mail", *WHO)

    lines = shown.splitlines()
    assert lines[0] == "would cancel 12 processes"
    assert (len(lines), lines[-2], lines[-1]) == (13, "  and 2 more", "to do it: add --yes")
    assert (await record_of(registry, "m0")).cancel_request is None
    assert await ran(registry, "cancel", "--queue", "mail", *WHO, "--yes") == "12 processes: 12 cancelled"
    assert (await record_of(registry, "m0")).status is ProcessStatus.CANCELLED


async def test_a_label_and_a_bound_say_which(registry: ProcessRegistry) -> None:
    """What is left for another call is said."""
    shown = await ran(registry, "cancel", "--label", "tenant=42", "--most", "1", *WHO, "--yes")

    assert shown.splitlines() == [
        "1 process: 1 cancelled",
        "there may be more: --most 1 was reached, and the same again goes on with them",
    ]


async def test_two_values_of_one_label_are_refused(registry: ProcessRegistry) -> None:
    """Several labels mean what has all of them, and nothing has both; what has the last one alone was not meant."""
    with pytest.raises(SettingsError, match="tenant=41 and tenant=42"):
        await ran(registry, "cancel", "--label", "tenant=41", "--label", "tenant=42", *WHO, "--yes")
    assert (await record_of(registry, "p0")).cancel_request is None
    same = await ran(registry, "cancel", "--label", "tenant=42", "--label", "tenant=42", *WHO)
    assert same.startswith("would cancel 2 processes")


async def test_a_replay_sent_again_says_what_was_submitted_before_and_goes_on(registry: ProcessRegistry) -> None:
    """Both numbers are said, before and after it is done."""
    await registry.register(work("worse", RERUNNABLE, task="send"))
    await registry.complete(await held(registry, "worse", ADA), Failure("E", "no"))
    more = "there may be more: --most 1 was reached, and"
    command, before = ("replay", "--state", "failed", "--most", "1"), "left out: 1 (submitted before)"

    assert (await ran(registry, *command)).splitlines()[-1] == f"{more} a larger number finds them"
    assert (await ran(registry, *command, "--yes")).splitlines() == [
        "1 process: 1 submitted", f"{more} the same again goes on with them",
    ]  # fmt: skip
    shown = (await ran(registry, *command)).splitlines()
    assert (shown[0], shown[-1]) == ("would submit again 1 process", before)
    assert (await ran(registry, *command, "--yes")).splitlines() == ["1 process: 1 submitted", before]
    assert (await ran(registry, *command)).splitlines() == [
        "would submit again 0 processes", "left out: 2 (submitted before)",
    ]  # fmt: skip


async def test_a_replay_of_many_and_of_one_say_what_became_of_them(registry: ProcessRegistry) -> None:
    """Sent again, that it was done before."""
    assert (await ran(registry, "replay", "--state", "failed")).startswith("would submit again 1 process\n  bad\n")
    assert await ran(registry, "replay", "--state", "failed", "--yes") == "1 process: 1 submitted"
    assert await ran(registry, "replay", "bad", "m0") == f"bad: submitted before as {replay_id('bad')}"
    viewed = json.loads(await ran(registry, "replay", "bad", "--json"))
    assert viewed == {"processes": [{"id": "bad", "became": "submitted before", "replay": replay_id("bad")}]}
    many = json.loads(await ran(registry, "replay", "--state", "failed", "--json"))
    assert (many["found"], many["done"], many["left_out"]) == (0, {}, {"submitted before": 1})


@pytest.mark.parametrize(
    "argv",
    [("cancel", *WHO), ("cancel", "m0", "--queue", "mail", *WHO), ("replay",), ("replay", "bad", "--state", "failed")],
)
async def test_a_command_line_that_means_nothing_or_two_things_is_refused(
    registry: ProcessRegistry, argv: tuple[str, ...]
) -> None:
    """Before anything is done."""
    with pytest.raises(SettingsError, match="expected"):
        await ran(registry, *argv)


async def test_an_id_may_stand_behind_the_options(registry: ProcessRegistry) -> None:
    """As it might before many could be named."""
    assert "cancelled" in await ran(registry, "cancel", *WHO, "m3")
    assert (await ran(registry, "replay", "--most", "3", "bad")).startswith("bad: submitted as ")


async def test_show_says_how_a_forgotten_process_ended(registry: ProcessRegistry) -> None:
    """As long as that is kept, which it is for an id that somebody chose."""
    await registry.retain(0, Retention(1_000_000, 0, 1_000_000))

    with pytest.raises(OutcomePruned, match="'bad' ended as failed"):
        await explain(registry, "bad")


async def test_labels_are_listed_and_shown(registry: ProcessRegistry) -> None:
    """``ps --label`` reads no other row; a page says how to go on."""
    args = main._parser(["ps"]).parse_args(["ps", "--label", "tenant=42", "--limit", "1"])
    first = await ps._ps(registry, args)
    args = main._parser(["show"]).parse_args(["show", "p1"])

    assert [line.split()[0] for line in first.splitlines() if "tenant=42" in line] == ["p0", "more:"]
    assert "more: --limit 1 --label tenant=42 --cursor " in first
    assert "tenant=42" in await show._show(registry, args)


@pytest.mark.parametrize(
    ("argv", "ids"),
    [
        (("cancel", *WHO, "--", "-p"), "-p"),
        (("cancel", "p", *WHO), "p"),
        (("replay", "a", "--json", "b", "--", "-c", "--json"), ["a", "b", "-c", "--json"]),
    ],
)
def test_an_id_may_look_like_an_option_behind_two_dashes(argv: tuple[str, ...], ids: object) -> None:
    """An id may begin with one."""
    assert main._parser([argv[0]]).parse_args(argv).id == ids
