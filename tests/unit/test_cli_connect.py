"""From options to a registry, and from what came of it to an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash_redis.cli.main import main

PASSWORD = "hunter2"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a place that has no server: no URL, no data."""
    monkeypatch.delenv("LASH_REDIS_URL", raising=False)
    monkeypatch.setenv("LASH_REDIS_DATA", str(tmp_path / "data"))
    return tmp_path


def exit_code(argv: list[str]) -> int:
    """Run a verb and return its exit code."""
    try:
        return main(argv)
    except SystemExit as end:
        return int(str(end.code))


def refused(argv: list[str], capsys: pytest.CaptureFixture[str], code: int) -> str:
    """Run a verb that must be refused with a code, and return what it said."""
    answered = exit_code(argv)
    said = capsys.readouterr()
    assert (answered, said.out) == (code, "")
    assert "Traceback" not in said.err
    return said.err


def test_without_a_server_it_says_how_to_name_one(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Looking does not make a server: no URL and no data are refused, and no data folder appears."""
    said = refused(["ps"], capsys, 1)

    assert "--url" in said
    assert "$LASH_REDIS_URL" in said
    assert not (nowhere / "data").exists()


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}@127.0.0.1:1/0",
        f"redis://{PASSWORD}@127.0.0.1:1/0?password={PASSWORD}",
        f"redis://:{PASSWORD}@127.0.0.1:1/0?unheard_of={PASSWORD}",
        f"redis://:{PASSWORD}/x@127.0.0.1:1/0",
        f"redis://:{PASSWORD}@127.0.0.1:{PASSWORD}",
        f"http://:{PASSWORD}@127.0.0.1",
        f"{PASSWORD}@127.0.0.1",
        f"redis://:{PASSWORD}@[::1/0",
    ],
)
@pytest.mark.parametrize("by_variable", [False, True])
def test_no_error_shows_a_password(
    url: str, by_variable: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with a URL, what may be a password in it is not repeated."""
    argv = ["ps"] if by_variable else ["ps", "--url", url]
    if by_variable:
        monkeypatch.setenv("LASH_REDIS_URL", url)
    code = exit_code(argv)
    said = capsys.readouterr()

    assert code in (1, 2)
    assert PASSWORD not in said.out + said.err
    assert "Traceback" not in said.err
    assert said.err.strip()


def test_a_server_that_does_not_answer_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback: what failed, and where."""
    said = refused(["show", "p", "--url", "redis://127.0.0.1:1"], capsys, 1)

    assert said.startswith("lash-redis: ")
    assert said.count("\n") == 1
    assert "127.0.0.1:1" in said
    assert "applied" not in said


@pytest.mark.parametrize("by_variable", [False, True])
def test_an_empty_url_is_an_error(
    by_variable: bool, nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody meant some server, and not the embedded one."""
    if by_variable:
        monkeypatch.setenv("LASH_REDIS_URL", "")
    said = refused(["ps"] if by_variable else ["ps", "--url", ""], capsys, 1 if by_variable else 2)

    assert "empty" in said
    assert not (nowhere / "data").exists()


@pytest.mark.parametrize(
    ("argv", "about"),
    [
        (["ps", "--limit", "0"], "from 1 to 500"),
        (["ps", "--limit", "501"], "from 1 to 500"),
        (["ps", "--limit", "many"], "from 1 to 500"),
        (["ps", "--phase", "lost"], "uncertain"),
        (["ps", "--namespace", "{x}"], "[a-z0-9-]"),
        (["show"], "ID"),
        (["show", "a b"], "1 to 256 characters"),
        (["show", "a\x1b[31mb"], "1 to 256 characters"),
        (["cancel", "p", "--by", "ada"], "--reason"),
        (["cancel", "p", "--reason", "why"], "--by"),
        (["abandon", "p", "--by", "ada"], "--reason"),
        (["abandon", "p", "--by", "ada", "--reason", "  "], "--reason"),
        (["abandon", "p", "--by", "", "--reason", "why"], "--by"),
        (["abandon", "p", "--by", "a" * 257, "--reason", "why"], "256 bytes"),
    ],
)
def test_a_wrong_command_is_a_usage_error(argv: list[str], about: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, before any server is asked, and the message says what is allowed."""
    said = refused(argv, capsys, 2)

    assert about in said.split("usage:")[-1].split("error:")[-1]
    assert "\x1b" not in said


def test_a_password_that_splits_the_url_is_recognized(capsys: pytest.CaptureFixture[str]) -> None:
    """A slash in a password ends the host: the error says what to do, before a server is asked."""
    said = refused(["ps", "--url", f"redis://:{PASSWORD}/x@127.0.0.1:1/0"], capsys, 2)

    assert "percent-encoded" in said
