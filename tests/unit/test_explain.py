"""What can be said of an owner's life from where the operator is."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from lash_redis.core.liveness import LeaseOwner, LocalProcess
from lash_redis.operate.explain import OwnerLife, owner_state

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="proof of death by pid needs Linux")

SAY_WHO = """
import sys, msgspec
from lash_redis.core.liveness import LeaseOwner
print(msgspec.json.encode(LeaseOwner.local_process("child", "child-1")).decode(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def me() -> LeaseOwner:
    """Return an owner that is this OS process."""
    return LeaseOwner.local_process("me", "me-1")


def changed(owner: LeaseOwner, **liveness: object) -> LeaseOwner:
    """Return another incarnation of an owner, with something else in its liveness."""
    assert isinstance(owner.liveness, LocalProcess)
    return LeaseOwner("other", "other-1", msgspec.structs.replace(owner.liveness, **liveness))


def test_a_child_is_alive_until_it_is_reaped_and_dead_then(me: LeaseOwner) -> None:
    """The same owner, asked before and after its end."""
    child = subprocess.Popen([sys.executable, "-c", SAY_WHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    owner = msgspec.json.decode(child.stdout.readline(), type=LeaseOwner)
    before = owner_state(owner, me)
    child.communicate()
    after = owner_state(owner, me)

    assert (before.life, before.proof) == (OwnerLife.ALIVE, None)
    assert after.life is OwnerLife.DEAD
    assert after.proof is not None
    assert after.proof.kind == "gone"


def test_a_pid_with_another_start_is_another_process(me: LeaseOwner) -> None:
    """A pid that was used again is a proof of death, and named as such."""
    state = owner_state(changed(me, process_start="1"), me)

    assert state.life is OwnerLife.DEAD
    assert state.proof is not None
    assert state.proof.kind == "replaced"


@pytest.mark.parametrize(
    "liveness", [{"host_id": "another"}, {"boot_id": "another"}, {"host_id": ""}, {"pid": 0}, {"pid": -1}]
)
def test_what_this_machine_cannot_judge_is_unknown(liveness: dict[str, object], me: LeaseOwner) -> None:
    """Another machine, another boot, a pid that is none: neither dead nor alive."""
    assert owner_state(changed(me, **liveness), me).life is OwnerLife.UNKNOWN


def test_an_opaque_owner_is_unknown(me: LeaseOwner) -> None:
    """It said nothing of itself by which anything could be proven."""
    assert owner_state(LeaseOwner.opaque("silent", "silent-1"), me).life is OwnerLife.UNKNOWN


def test_an_opaque_asker_proves_nothing(me: LeaseOwner) -> None:
    """A machine that does not say enough of itself judges nobody."""
    asker = LeaseOwner.opaque("asker", "asker-1")

    assert owner_state(changed(me, pid=2**22 + 1), asker).life is OwnerLife.UNKNOWN


def test_a_process_that_cannot_be_read_is_not_called_alive(me: LeaseOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a pid exists does not say whose it is: without its start it is unknown."""
    monkeypatch.setattr("lash_redis.core.liveness.file_text", lambda _path: None)

    assert owner_state(changed(me, pid=os.getpid()), me).life is OwnerLife.UNKNOWN
