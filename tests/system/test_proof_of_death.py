"""Proof of death on real OS processes: children, threads, zombies, users, pid and time namespaces (rules 2.1 to 2.3).

A false proof is the worst bug that this project could have. So each test that expects *no proof* first checks that the
misleading evidence really exists.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lash_redis.core import liveness
from lash_redis.core.liveness import LeaseOwner, LocalProcess
from tests.support import block_until, process_state

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(sys.platform != "linux", reason="proof of death by pid needs Linux"),
]

CODE = Path(liveness.__file__).parents[2]
IS_ROOT = os.geteuid() == 0
NOBODY = 65534


# Children and owners


def started(pid: int) -> str:
    """Return the start time of an OS process, in clock ticks. Only for processes whose name has no blank."""
    return Path(f"/proc/{pid}/stat").read_text().split()[21]


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a child for the duration of the block, then kill it."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def sleeper() -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """Run a child that does nothing."""
    return running("sleep", "60")


@pytest.fixture
def claimant() -> LeaseOwner:
    """Return this OS process as an owner."""
    owner = LeaseOwner.local_process("claimant", "incarnation-of-the-claimant")
    if not isinstance(owner.liveness, LocalProcess):
        pytest.skip("this machine shows no namespaces, boot id or start: every owner is opaque")
    return owner


def neighbour(claimant: LeaseOwner, pid: int, start: str) -> LeaseOwner:
    """Return an owner on the same host and boot as the claimant, with this pid and start."""
    assert isinstance(claimant.liveness, LocalProcess)
    return LeaseOwner(
        "holder",
        "incarnation-of-the-holder",
        LocalProcess(claimant.liveness.host_id, claimant.liveness.boot_id, pid, start),
    )


def of_child(claimant: LeaseOwner, child: subprocess.Popen[str]) -> LeaseOwner:
    """Return the owner that this child would be."""
    return neighbour(claimant, child.pid, started(child.pid))


# One life and its end


def test_a_living_child_is_not_dead_and_a_reaped_one_is_gone(claimant: LeaseOwner) -> None:
    """SIGKILL alone is no proof. A pid that is gone is one."""
    with sleeper() as child:
        owner = of_child(claimant, child)
        assert owner.proof_of_death(claimant) is None
        child.kill()
        child.wait()
        assert owner.proof_of_death(claimant) == "gone"
        assert owner.is_definitely_dead_for(claimant)


def test_a_zombie_is_not_proof_of_death(claimant: LeaseOwner) -> None:
    """A zombie keeps its pid and its start until it is reaped. Only its reaper has evidence."""
    with sleeper() as child:
        owner = of_child(claimant, child)
        child.kill()
        block_until(lambda: process_state(child.pid) == "Z", "the child is a zombie")
        assert owner.proof_of_death(claimant) is None
        child.wait()
        assert owner.proof_of_death(claimant) == "gone"


def test_a_stopped_process_is_not_dead(claimant: LeaseOwner) -> None:
    """A suspended owner is silent, and may go on at any time."""
    with sleeper() as child:
        owner = of_child(claimant, child)
        child.send_signal(signal.SIGSTOP)
        block_until(lambda: process_state(child.pid) == "T", "the child is stopped")
        assert owner.proof_of_death(claimant) is None


def test_a_process_that_became_another_program_is_not_dead(claimant: LeaseOwner) -> None:
    """``exec`` changes the program, not the process."""
    with running("sh", "-c", "read go; exec sleep 60") as child:
        owner = of_child(claimant, child)
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        block_until(lambda: "sleep" in Path(f"/proc/{child.pid}/comm").read_text(), "the child runs another program")
        assert owner.proof_of_death(claimant) is None


def test_a_pid_that_another_process_has_now_is_replaced(claimant: LeaseOwner) -> None:
    """The same pid with another start time is another process."""
    with sleeper() as child:
        assert neighbour(claimant, child.pid, "1").proof_of_death(claimant) == "replaced"
        assert neighbour(claimant, os.getpid(), "1").proof_of_death(claimant) == "replaced"


def test_a_thread_that_has_the_number_proves_the_process_gone(claimant: LeaseOwner) -> None:
    """A thread id answers a signal, but its thread group shows that no process has this pid."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        tid = thread.native_id
        assert tid is not None
        os.kill(tid, 0)  # it answers
        assert neighbour(claimant, tid, started(tid)).proof_of_death(claimant) == "gone"
        assert neighbour(claimant, tid, "1").proof_of_death(claimant) == "gone"
    finally:
        done.set()
        thread.join()


def test_a_process_whose_main_thread_has_ended_is_not_dead(claimant: LeaseOwner) -> None:
    """Its main thread is a zombie, and its other threads run on."""
    code = (
        "import ctypes, platform, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[platform.machine()], 0)\n"
    )
    if os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("the number of exit(2) is known for x86-64 and arm64 only")
    with running(sys.executable, "-c", code) as child:
        owner = of_child(claimant, child)
        block_until(lambda: process_state(child.pid) == "Z", "the main thread has ended")
        assert child.poll() is None
        assert owner.proof_of_death(claimant) is None


HOSTILE_NAMES = [
    b"a) Z 1 (b",
    b")))) 1 1 1 1",
    b"((",
    b"x\x0bTgid:\t1",
    b"x\nTgid:\t1\n",
    b"\xc2\x85Tgid:\t1",
    b"\xff) S 1",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_process_cannot_be_mistaken_for_dead_by_its_name(claimant: LeaseOwner, name: bytes) -> None:
    """The name of a process may hold anything: parentheses, line ends, and text that looks like a thread group."""
    code = (
        f"import ctypes; ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0)\n"
        "print('renamed', flush=True)\n"
        "input()\n"
    )  # fmt: skip
    with running(sys.executable, "-S", "-c", code) as child:
        owner = of_child(claimant, child)
        assert child.stdout is not None
        assert child.stdout.readline() == "renamed\n"
        assert Path(f"/proc/{child.pid}/comm").read_bytes() == name[:15] + b"\n"
        assert owner.proof_of_death(claimant) is None
        assert neighbour(claimant, child.pid, "1").proof_of_death(claimant) == "replaced"


SIGNALS = {"stop": signal.SIGSTOP, "continue": signal.SIGCONT, "kill": signal.SIGKILL}


def test_children_in_random_states_give_no_false_proof(claimant: LeaseOwner) -> None:
    """A child is proven dead if and only if it was reaped."""
    chance = random.Random(20)
    proven = 0
    for _ in range(60):
        with sleeper() as child:
            owner = of_child(claimant, child)
            for step in chance.choices([*SIGNALS, "reap"], k=3):
                if step == "reap" and child.returncode is None:
                    child.kill()
                    child.wait()
                elif child.returncode is None:
                    os.kill(child.pid, SIGNALS[step])
                dead = owner.proof_of_death(claimant)
                assert dead == ("gone" if child.returncode is not None else None)
                proven += dead is not None
    assert proven > 20


# Other users, other namespaces


PRELUDE = """
import json, os, subprocess, sys
from lash_redis.core.liveness import LeaseOwner, LocalProcess, Opaque
import msgspec

def start_of(pid):
    return open(f"/proc/{pid}/stat").read().split()[21]

def owner(pid, start, host="host", boot="boot", incarnation="theirs"):
    return LeaseOwner("owner", incarnation, LocalProcess(host, boot, pid, start))

def fate(pid, start):
    return owner(pid, start).proof_of_death(owner(os.getpid(), "1", incarnation="mine"))

def become(user):
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)

def answer(**values):
    print(json.dumps(values), flush=True)
"""


def command(script: str, *within: str) -> list[str]:
    """Return the command that runs a script, behind the command ``within`` that makes namespaces."""
    return [*within, sys.executable, "-c", f"import sys; sys.path.insert(0, {str(CODE)!r}){PRELUDE}{script}"]


def answer_of(script: str, *within: str) -> dict[str, Any]:
    """Run a script to its end and return its answer."""
    ran = subprocess.run(command(script, *within), capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def test_after_a_fork_the_parents_identity_proves_nothing() -> None:
    """The child is not the claimant whose memory it inherited."""
    script = """
ended = subprocess.Popen(["true"])
ended.wait()
me, them = owner(os.getpid(), "1", incarnation="mine"), owner(ended.pid, "1")
parent = them.proof_of_death(me)
if os.fork() == 0:
    answer(parent=parent, child=them.proof_of_death(me))
    os._exit(0)
os.wait()
"""
    assert answer_of(script) == {"parent": "gone", "child": None}


@functools.cache
def namespaces(*flags: str) -> list[str]:
    """Return the command that makes namespaces; skip the test where they cannot be made."""
    as_root = [] if IS_ROOT else ["--user", "--map-root-user"]
    within = ["unshare", "--fork", "--kill-child", *as_root, *flags]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*within, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"namespaces cannot be made here: {' '.join(within)}")
    return within


needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")


@needs_root
def test_another_users_process_is_not_dead(claimant: LeaseOwner) -> None:
    """EPERM means that the pid exists. The start time decides, as for any other process."""
    script = f"""
child = subprocess.Popen(["sleep", "60"])
start = start_of(child.pid)
become({NOBODY})
try:
    os.kill(child.pid, 0)
    refused = False
except PermissionError:
    refused = True
answer(refused=refused, same=fate(child.pid, start), other=fate(child.pid, "1"))
"""
    # The script runs in a pid namespace of its own: the child ends with it, which may no longer kill the child.
    assert answer_of(script, *namespaces("--pid", "--mount-proc")) == {
        "refused": True,
        "same": None,
        "other": "replaced",
    }


@needs_root
def test_a_hidden_process_is_not_dead(claimant: LeaseOwner) -> None:
    """Under ``hidepid`` a living pid is absent from /proc and still answers a signal."""
    script = f"""
subprocess.run(["mount", "-o", "remount,hidepid=2", "/proc"], check=True)
child = subprocess.Popen(["sleep", "60"])
start = start_of(child.pid)
become({NOBODY})
answer(
    hidden=not os.path.exists(f"/proc/{{child.pid}}"),
    same=fate(child.pid, start),
    other=fate(child.pid, "1"),
    gone=fate(child.pid + 1000, "1"),
    own=isinstance(LeaseOwner.local_process("owner", "mine").liveness, LocalProcess),
)
"""
    assert answer_of(script, *namespaces("--pid", "--mount-proc")) == {
        "hidden": True, "same": None, "other": None, "gone": "gone", "own": True,
    }  # fmt: skip


INTRODUCE = """
me = LeaseOwner.local_process("owner", sys.argv[1] if len(sys.argv) > 1 else "one")
print(msgspec.json.encode(me).decode(), flush=True)
for line in sys.stdin:
    print(json.dumps(msgspec.json.decode(line, type=LeaseOwner).proof_of_death(me)), flush=True)
"""


def read_owner(child: subprocess.Popen[str]) -> LeaseOwner:
    """Return the owner as which a child introduces itself."""
    assert child.stdout is not None
    return msgspec.json.decode(child.stdout.readline(), type=LeaseOwner)


def proof_by(child: subprocess.Popen[str], about: LeaseOwner) -> str | None:
    """Return the proof of an owner's death that a child has, None if it has none."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(msgspec.json.encode(about).decode() + "\n")
    child.stdin.flush()
    proof: str | None = json.loads(child.stdout.readline())
    return proof


def test_a_worker_describes_itself_as_its_neighbours_see_it(claimant: LeaseOwner) -> None:
    """The liveness that a worker process writes about itself shows that it lives, and later that it is gone."""
    with running(*command(INTRODUCE)) as child:
        owner = read_owner(child)
        assert owner.liveness == of_child(claimant, child).liveness
        assert owner.proof_of_death(claimant) is None
        assert proof_by(child, claimant) is None
        child.kill()
        child.wait()
        assert owner.proof_of_death(claimant) == "gone"


def test_the_same_pid_in_two_pid_namespaces_proves_nothing(claimant: LeaseOwner) -> None:
    """Pid 1 exists in every container, and containers share kernel and boot id. Neither proves the other dead."""
    within = namespaces("--pid", "--mount-proc")
    with running(*command(INTRODUCE, *within), "one") as first, running(*command(INTRODUCE, *within), "two") as second:
        one, two = read_owner(first), read_owner(second)
        assert isinstance(one.liveness, LocalProcess)
        assert isinstance(two.liveness, LocalProcess)
        assert (one.liveness.pid, one.liveness.boot_id) == (two.liveness.pid, two.liveness.boot_id)
        assert one.liveness.host_id != two.liveness.host_id
        assert proof_by(second, one) is None
        assert one.proof_of_death(claimant) is None
        assert neighbour(claimant, 1, one.liveness.process_start).proof_of_death(claimant) == "replaced", (
            "without the namespace in the host id, this would be a false proof"
        )
        first.kill()
        first.wait()
        assert proof_by(second, one) is None
        assert one.proof_of_death(claimant) is None


def test_the_proc_of_the_outer_namespace_proves_nothing() -> None:
    """In a new pid namespace with the old /proc, a pid in /proc is another process, whose start is no evidence."""
    script = """
child = subprocess.Popen(["sleep", "60"])
answer(
    own=isinstance(LeaseOwner.local_process("owner", "mine").liveness, Opaque),
    foreign=os.readlink("/proc/self") != str(os.getpid()),
    living=fate(child.pid, "1"),
    itself=fate(os.getpid(), "1"),
    gone=fate(child.pid + 1000, "1"),
)
"""
    assert answer_of(script, *namespaces("--pid")) == {
        "own": True, "foreign": True, "living": None, "itself": None, "gone": "gone",
    }  # fmt: skip


def test_a_time_namespace_shifts_starts_and_proves_nothing(claimant: LeaseOwner) -> None:
    """Inside it the same living process has another start and another host id."""
    with sleeper() as child:
        owner = of_child(claimant, child)
        script = f"""
me = LeaseOwner.local_process("owner", "mine")
them = msgspec.json.decode({msgspec.json.encode(owner).decode()!r}, type=LeaseOwner)
answer(
    start=start_of({child.pid}),
    other_host=me.liveness.host_id != them.liveness.host_id,
    proof=them.proof_of_death(me),
    misleading=fate({child.pid}, them.liveness.process_start),
)
"""
        answer = answer_of(script, *namespaces("--time", "--boottime", "100000"))
        assert int(answer["start"]) > int(started(child.pid)) + 9_000_000
        assert (answer["other_host"], answer["proof"]) == (True, None)
        assert answer["misleading"] == "replaced", "without the namespace in the host id, this would be a false proof"


def test_a_pid_that_is_used_again_is_replaced() -> None:
    """The kernel may give a dead worker's pid to another process. The start time tells them apart."""
    script = """
import time
first = subprocess.Popen(["sleep", "60"])
start = start_of(first.pid)
living = fate(first.pid, start)
first.kill()
first.wait()
gone = fate(first.pid, start)
while int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")) <= int(start) + 1:
    pass
try:
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(first.pid - 1))
except OSError as error:
    answer(skip=str(error))
    sys.exit()
second = subprocess.Popen(["sleep", "60"])
answer(again=second.pid == first.pid, living=living, gone=gone, replaced=fate(first.pid, start),
       alive=fate(second.pid, start_of(second.pid)))
"""
    answer = answer_of(script, *namespaces("--pid", "--mount-proc"))
    if "skip" in answer:
        pytest.skip(f"this kernel lets nobody choose the next pid: {answer['skip']}")
    assert answer == {"again": True, "living": None, "gone": "gone", "replaced": "replaced", "alive": None}
