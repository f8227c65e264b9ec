"""What a guardian does about what it sees, with a fake server and a fake clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from lash_redis.core import timing
from lash_redis.embedded.guardian import guard
from lash_redis.embedded.locks import FileLock
from lash_redis.embedded.server import Server


class Scenario(timing.Clock):
    """A fake server with one user, and a clock: each wait of the guardian takes no time and brings the next event.

    Attributes:
        journal: the waits, and what was done to the server.
    """

    def __init__(self, folder: Path, *events: str) -> None:
        self.server, self.users, self.user = (FileLock(folder / name) for name in ("server", "users", "users"))
        self.journal: list[str] = []
        self._events = list(events)
        self._event = ""
        assert self.server.try_exclusive()
        assert self.user.try_shared()

    def pause(self, seconds: float) -> None:
        """Note the wait, and let the next event happen."""
        self.journal.append(f"{seconds:g} s")
        self._event = self._events.pop(0)
        if self._event == "the user goes":
            self.user.release()
        elif self._event == "a user comes":
            assert self.user.try_shared()
        elif self._event == "the folder goes":
            self.server.path.unlink()

    def has_died(self) -> bool:
        """Answer for the server."""
        return self._event == "the server dies"

    def has_lost_its_socket(self) -> bool:
        """Answer for the server."""
        return self._event == "the socket goes"

    def start_again(self) -> bool:
        """Note the start; the second one fails."""
        self.journal.append("start again")
        return self.journal.count("start again") < 2

    def start(self) -> None:
        """Note the start."""
        self.journal.append("start")

    def stop(self) -> None:
        """Note the stop, and whether a new user could come meanwhile."""
        newcomer = FileLock(self.users.path)
        self.journal.append("stop" if newcomer.try_shared() else "stop, alone")
        newcomer.close()


@pytest.fixture
def run_guardian(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that runs a guardian through events and returns the journal."""

    def run(*events: str) -> list[str]:
        scenario = Scenario(tmp_path, *events)
        with timing.use(scenario):
            guard(cast("Server", scenario), scenario.server, scenario.users)
        assert FileLock(tmp_path / "users").try_shared()
        assert FileLock(tmp_path / "server").try_exclusive()
        return scenario.journal

    return run


def test_it_stops_the_server_when_it_had_no_user_for_two_seconds(run_guardian: Callable[..., list[str]]) -> None:
    """It checks each second, waits two seconds more once there is no user, and keeps new users out while it stops."""
    assert run_guardian("", "the user goes", "") == ["1 s", "1 s", "2 s", "stop, alone"]


def test_a_user_who_comes_during_these_two_seconds_keeps_the_server(run_guardian: Callable[..., list[str]]) -> None:
    """Two commands in a row use one server."""
    journal = run_guardian("the user goes", "a user comes", "the user goes", "")

    assert journal == ["1 s", "2 s", "1 s", "2 s", "stop, alone"]


def test_a_server_that_died_is_started_again(run_guardian: Callable[..., list[str]]) -> None:
    """Its users have nothing to do."""
    assert run_guardian("the server dies", "the user goes", "") == ["1 s", "start again", "1 s", "2 s", "stop, alone"]


def test_a_server_that_dies_again_and_again_is_given_up(run_guardian: Callable[..., list[str]]) -> None:
    """It releases the locks, so that the next user starts another guardian and gets the error."""
    assert run_guardian("the server dies", "the server dies") == ["1 s", "start again", "1 s", "start again", "stop"]


def test_a_server_whose_socket_was_deleted_is_started_again(run_guardian: Callable[..., list[str]]) -> None:
    """A clean-up of temporary folders deletes it, and no new user could connect."""
    assert run_guardian("the socket goes", "the user goes", "") == ["1 s", "stop", "start", "1 s", "2 s", "stop, alone"]


def test_a_server_whose_data_folder_was_deleted_is_stopped(run_guardian: Callable[..., list[str]]) -> None:
    """The next user finds another folder, or none, and must not use the server of the old one."""
    assert run_guardian("the folder goes") == ["1 s", "stop"]


def test_a_socket_counts_as_deleted_once_the_server_has_lived_for_a_while(tmp_path: Path) -> None:
    """A server that is starting has none yet, and without its folder no new one can be made."""
    clock = timing.Clock()
    path = tmp_path / "runtime" / "x.sock"
    path.parent.mkdir()
    server = Server(tmp_path, path, Path("/bin/true"), FileLock(tmp_path / "server"))
    assert not server.has_lost_its_socket()

    clock.boottime_ms = lambda: timing.Clock().boottime_ms() + 60_000  # type: ignore[method-assign]
    with timing.use(clock):
        assert server.has_lost_its_socket()
        path.touch()
        assert not server.has_lost_its_socket()
        path.unlink()
        path.parent.rmdir()
        assert not server.has_lost_its_socket()
    server.stop()
