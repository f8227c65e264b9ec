"""What commands say that is wrong: on standard error, each line with the name of the program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lash_redis.cli.main import VERBS, main
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import OWNER_BOUND, RERUNNABLE, work

pytestmark = pytest.mark.system

WHO = ("--by", "ada", "--reason", "to see")
WRONG = [
    ("worker", "no.such:lash"),
    ("ps", "--cursor", "nonsense"),
    ("show", "nobody"),
    ("cancel", "nobody", *WHO),
    ("cancel", "waits"),
    ("cancel", "--queue", "mail", "--yes"),
    ("abandon", "nobody", *WHO),
    ("abandon", "waits", *WHO),
    ("replay", "nobody"),
    ("replay", "waits"),
    ("resolve", "nobody", "waits", "--as", "accepted", *WHO),
    ("pause",),
    ("resume", "--queue", "a b"),
    ("limits", "too", "many"),
    ("schedules", "pause", "nothing"),
    ("schedules", "next"),
    ("schedules", "resume", "nothing", "--by", "ada"),
    ("prune", "--before", "yesterday"),
]


@pytest.fixture
async def registry(url: str, namespace: str) -> AsyncIterator[ProcessRegistry]:
    """Return a registry with a process that waits."""
    registry = ProcessRegistry(url, namespace)
    await registry.register(work("waits", OWNER_BOUND))
    await registry.register(work("mail", RERUNNABLE, queue="mail"))
    yield registry
    await registry.aclose()


@pytest.fixture
def made(registry: ProcessRegistry) -> str:
    """Return the name of a namespace that is there, for tests without an event loop."""
    return registry.namespace


def ran(url: str, namespace: str, *argv: str) -> int:
    """Run a command, and return its exit code."""
    where = () if argv[0] == "worker" else ("--url", url, "--namespace", namespace)
    try:
        return main([*argv, *where])
    except SystemExit as end:
        return int(end.code or 0)


def test_every_verb_is_tried() -> None:
    """A new one needs a line in the list."""
    assert {argv[0] for argv in WRONG} == {*VERBS}


@pytest.mark.parametrize("argv", [argv for argv in WRONG if argv[0] != "worker"], ids=" ".join)
def test_each_line_that_says_what_is_wrong_names_the_program(
    argv: tuple[str, ...], url: str, made: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, so that what a pipe reads is answers alone."""
    code = ran(url, made, *argv)

    out, err = capsys.readouterr()
    assert (code > 0, out) == (True, "")
    said = [line for line in err.splitlines() if not line.startswith((" ", "usage: lash-redis"))]
    assert said
    assert [line for line in said if not line.startswith("lash-redis")] == []


def test_a_resolution_that_comes_too_early_says_what_comes_first(
    url: str, made: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the process stands."""
    assert ran(url, made, "resolve", "waits", "--as", "accepted", *WHO) == 1
    assert "'waits' is queued: only an abandoned one is resolved; it has not been lost" in capsys.readouterr().err


def test_who_only_counts_need_not_say_who_asks(url: str, made: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is asked."""
    assert ran(url, made, "cancel", "--queue", "mail") == 0
    assert "would cancel 1 process" in capsys.readouterr().out


def test_a_pause_of_what_nobody_knows_is_done_and_says_so(
    url: str, made: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may come later; or it is misspelt."""
    for argv, words in (
        (
            ("pause", "--queue", "maill"),
            "mind: no worker serves queue 'maill', and nothing waits in it: did you mean 'mail'?",
        ),
        (("pause", "--task", "wrok"), "mind: no work of task 'wrok' waits or has ended: did you mean 'work'?"),
    ):
        assert ran(url, made, *argv) == 0
        assert words in capsys.readouterr().out
    assert ran(url, made, "pause", "--queue", "mail") == 0
    assert "mind" not in capsys.readouterr().out


def test_a_fresh_project_says_what_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no server yet, and no data of one."""
    monkeypatch.delenv("LASH_REDIS_URL", raising=False)
    monkeypatch.setenv("LASH_REDIS_DATA", str(tmp_path / "data"))
    for verb in ("ps", "schedules"):
        assert main([verb]) == 1
        assert "or start a pool first: lash-redis worker MODULE" in capsys.readouterr().err
