"""What a guardian does about what it sees, with its server and the time played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from lash_redis.core import timing
from lash_redis.embedded.guardian import guard
from lash_redis.embedded.locks import FileLock
from lash_redis.embedded.server import Server


class Play(timing.Clock):
    """A server with one user, and a clock: each wait of the guardian brings the next scene instead of taking time.

    ``journal`` tells the waits, and what was done to the server.
    """

    def __init__(self, folder: Path, *scenes: str) -> None:
        self.guarded, self.users, self.user = (FileLock(folder / name) for name in ("server", "users", "users"))
        self.scenes = list(scenes)
        self.now = ""
        self.journal: list[str] = []
        assert self.guarded.try_alone()
        assert self.user.try_shared()

    def pause(self, seconds: float) -> None:
        """Turn to the next scene."""
        self.journal.append(f"{seconds:g} s")
        self.now = self.scenes.pop(0)
        if self.now == "the user goes":
            self.user.release()
        elif self.now == "a user comes":
            assert self.user.try_shared()
        elif self.now == "the folder goes":
            self.guarded.path.unlink()

    def has_died(self) -> bool:
        """Stand in for the server's own."""
        return self.now == "the server dies"

    def has_lost_its_socket(self) -> bool:
        """Stand in for the server's own."""
        return self.now == "the socket goes"

    def start_again(self) -> bool:
        """Stand in for the server's own: the second time is once too often."""
        self.journal.append("start again")
        return self.journal.count("start again") < 2

    def start(self) -> None:
        """Stand in for the server's own."""
        self.journal.append("start")

    def stop(self) -> None:
        """Stand in for the server's own, and see whether anybody could come meanwhile."""
        newcomer = FileLock(self.users.path)
        self.journal.append("stop" if newcomer.try_shared() else "stop, alone")
        newcomer.close()


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., list[str]]:
    """Return what guards a server through some scenes and tells what happened."""

    def guarded(*scenes: str) -> list[str]:
        played = Play(tmp_path, *scenes)
        with timing.use(played):
            guard(cast("Server", played), played.guarded, played.users)
        assert FileLock(tmp_path / "users").try_shared()
        assert FileLock(tmp_path / "server").try_alone()
        return played.journal

    return guarded


def test_it_stops_the_server_when_nobody_has_come_for_two_seconds(play: Callable[..., list[str]]) -> None:
    """It looks each second, waits two once nobody is there, and lets nobody in while it stops."""
    assert play("", "the user goes", "") == ["1 s", "1 s", "2 s", "stop, alone"]


def test_a_user_who_comes_while_it_waits_keeps_the_server(play: Callable[..., list[str]]) -> None:
    """Two commands in a row meet one server."""
    journal = play("the user goes", "a user comes", "the user goes", "")

    assert journal == ["1 s", "2 s", "1 s", "2 s", "stop, alone"]


def test_a_server_that_died_is_started_again(play: Callable[..., list[str]]) -> None:
    """Its users need do nothing about it."""
    assert play("the server dies", "the user goes", "") == ["1 s", "start again", "1 s", "2 s", "stop, alone"]


def test_a_server_that_dies_again_and_again_is_given_up(play: Callable[..., list[str]]) -> None:
    """It gives the locks back, so that the next newcomer starts afresh, and sees the error."""
    assert play("the server dies", "the server dies") == ["1 s", "start again", "1 s", "start again", "stop"]


def test_a_deleted_socket_brings_a_new_start(play: Callable[..., list[str]]) -> None:
    """What tidies up temporary folders takes it away, and nobody new could connect."""
    assert play("the socket goes", "the user goes", "") == ["1 s", "stop", "start", "1 s", "2 s", "stop, alone"]


def test_a_folder_that_has_gone_ends_its_server(play: Callable[..., list[str]]) -> None:
    """Whoever comes finds another folder, or none, and must not share a server with the past."""
    assert play("the folder goes") == ["1 s", "stop"]


def test_a_socket_is_missed_once_the_server_has_lived_for_a_while(tmp_path: Path) -> None:
    """A server on its way up has none yet, and one whose folder has gone cannot have another."""
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
