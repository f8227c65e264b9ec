"""Whose identity an OS process may act under (rule 2.8)."""

from __future__ import annotations

import os

import msgspec
import pytest

from lash_redis.core.errors import ForkedCopy, SettingsError
from lash_redis.core.forks import own_pid
from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.identity import Identity
from lash_redis.worker.worker import Worker
from tests.conformance.actors import local_owner

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def worker(owner: LeaseOwner | None = None) -> Worker:
    """Return a worker that reaches no server."""
    return Worker(ProcessRegistry("redis://127.0.0.1:1/0"), owner=owner)


def in_a_fork(act: object) -> str:
    """Return what an act says in a forked copy of this OS process: the name of its error, or its text."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = str(act())  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - it is what is asked for
            said = type(error).__name__
        os.write(writes, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        return pipe.read()


def test_a_copy_knows_its_own_pid_without_asking_the_system_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """User code is run between two questions, and a system call costs as much as all that a no-op needs."""
    assert own_pid() == os.getpid()
    assert in_a_fork(lambda: own_pid() == os.getpid()) == "True"
    identity = Identity(local_owner())
    monkeypatch.delattr(os, "getpid")
    assert identity.is_here()
    identity.check()


def of_another_pid() -> LeaseOwner:
    """Return an owner that names pid 1."""
    owner = local_owner()
    assert isinstance(owner.liveness, LocalProcess)
    return msgspec.structs.replace(owner, liveness=msgspec.structs.replace(owner.liveness, pid=1))


def of_another_start() -> LeaseOwner:
    """Return an owner that names this pid in an earlier life."""
    owner = local_owner()
    assert isinstance(owner.liveness, LocalProcess)
    return msgspec.structs.replace(owner, liveness=msgspec.structs.replace(owner.liveness, process_start="1"))


@pytest.mark.parametrize("owner", [of_another_pid, of_another_start])
def test_an_owner_of_another_os_process_is_refused(owner: object) -> None:
    """Others would look for its pid and find it gone, or another's: a false proof. Constructing does not act yet."""
    made = worker(owner())  # type: ignore[operator]
    with pytest.raises(SettingsError, match="of this OS process"):
        _ = made.owner


@pytest.mark.parametrize("owner", [local_owner(), LeaseOwner.opaque("pod-0", "life-1")])
def test_an_owner_that_was_given_does_not_act_after_a_fork(owner: LeaseOwner) -> None:
    """Two OS processes would act as one incarnation, and the drain of one would settle what the other runs."""
    made = worker(owner)
    assert made.owner == owner
    assert in_a_fork(lambda: made.owner) == "SettingsError"


def test_an_owner_is_minted_anew_in_a_fork() -> None:
    """Reading it is acting: the parent keeps its own."""
    made = worker()
    before = made.owner
    assert in_a_fork(lambda: made.owner.incarnation_id) not in (before.incarnation_id, "")
    assert made.owner is before


def test_a_forked_copy_of_an_identity_is_refused() -> None:
    """Whatever it is about to do."""
    identity = Identity(local_owner())
    identity.check()
    assert in_a_fork(identity.check) == ForkedCopy.__name__
