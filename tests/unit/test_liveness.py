"""Owners, and what proves one dead: the rules, on a machine that says what the test wants it to say.

The same rules on real OS processes are in tests/system/test_proof_of_death.py.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lash_redis.core import liveness
from lash_redis.core.errors import SettingsError
from lash_redis.core.liveness import LeaseOwner, LocalProcess, Opaque, own_liveness

ME = os.getpid()
THEM = 4242

BOOT_ID = "2c4cf464-f756-48b4-b342-99c584e4269d"
MACHINE_ID = "0123456789abcdef0123456789abcdef"


def holder(pid: Any = THEM, start: Any = "500", *, host: Any = "host", boot: Any = "boot") -> LeaseOwner:
    """Return the owner whose death is in question."""
    owner = LeaseOwner("pod-0", "incarnation-0", LocalProcess("host", "boot", 1, "1"))
    for name, value in (("host_id", host), ("boot_id", boot), ("pid", pid), ("process_start", start)):
        msgspec.structs.force_setattr(owner.liveness, name, value)  # also what the constructor refuses
    return owner


def claimant(*, host: Any = "host", boot: Any = "boot", pid: int = ME) -> LeaseOwner:
    """Return the owner who asks: this OS process, unless a test names another."""
    return LeaseOwner("pod-1", "incarnation-1", LocalProcess(host, boot, pid, "900"))


class Machine:
    """What the kernel would say, as a table: files and links by path, and how it answers a signal."""

    def __init__(self) -> None:
        self.links = {"/proc/self/ns/pid": "pid:[4026531836]", "/proc/self/ns/time": "time:[4026531834]"}
        self.files = {
            "/proc/sys/kernel/random/boot_id": BOOT_ID + "\n",
            "/etc/machine-id": MACHINE_ID + "\n",
            "/proc/self/status": status(ME, nspid=str(ME)),
        }
        self.signals: dict[int, BaseException | None] = {}
        self.signalled: list[int] = []
        self.runs(ME, "900")

    def runs(self, pid: int, start: str, *, name: str = "python", tgid: int | None = None) -> None:
        """Let a process or a thread be there under this number."""
        self.signals[pid] = None
        self.files[f"/proc/{pid}/stat"] = stat(pid, start, name=name)
        self.files[f"/proc/{pid}/status"] = status(pid, name=name, tgid=tgid)

    def read(self, path: str) -> str | None:
        """Answer as the reader of files does."""
        return self.files.get(path)

    def readlink(self, path: str) -> str:
        """Answer as ``os.readlink`` does."""
        if path not in self.links:
            raise FileNotFoundError(path)
        return self.links[path]

    def kill(self, pid: int, signal: int) -> None:
        """Answer as ``os.kill`` does."""
        assert signal == 0, "a proof never harms"
        self.signalled.append(pid)
        answer = self.signals.get(pid, ProcessLookupError())
        if answer is not None:
            raise answer


def stat(pid: int, start: str, *, name: str = "python") -> str:
    """Write a line as /proc/<pid>/stat has it, of 52 fields."""
    return f"{pid} ({name}) S " + " ".join(str(number) for number in range(4, 22)) + f" {start} 23 24 25\n"


def status(pid: int, *, name: str = "python", tgid: int | None = None, nspid: str = "") -> str:
    """Write what matters of /proc/<pid>/status."""
    return f"Name:\t{name}\nState:\tS (sleeping)\nTgid:\t{tgid or pid}\nNgid:\t0\nPid:\t{pid}\nNSpid:\t{nspid or pid}\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Put a machine made of a table in the place of this one."""
    made_up = Machine()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(liveness, "file_text", made_up.read)
    monkeypatch.setattr(os, "readlink", made_up.readlink)
    monkeypatch.setattr(os, "kill", made_up.kill)
    return made_up


# Owners


@pytest.mark.parametrize("owner", [LeaseOwner.opaque("pod-0", "a1"), holder()], ids=["opaque", "local process"])
def test_an_owner_survives_encoding_and_compares_by_value(owner: LeaseOwner) -> None:
    """An owner read back from the registry is the owner that was written."""
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(owner), type=LeaseOwner)
    assert again == owner
    assert hash(again) == hash(owner)
    assert again is not owner


@pytest.mark.parametrize("bad", ["", "a b", "x" * 257, "né", None, 7])
def test_an_owner_is_refused_a_bad_id(bad: Any) -> None:
    """Owner ids and incarnation ids are ids like any other, and the error names the one that is not."""
    with pytest.raises(SettingsError, match="owner_id"):
        LeaseOwner.opaque(bad, "incarnation-0")
    with pytest.raises(SettingsError, match="incarnation_id"):
        LeaseOwner.local_process("pod-0", bad)


def test_a_local_process_is_this_one(machine: Machine) -> None:
    """The owner of this OS process carries its host, boot, pid and start."""
    owner = LeaseOwner.local_process("pod-0", "incarnation-0")
    host = f"linux-stat22;pid:[4026531836];time:[4026531834];machine:{MACHINE_ID}"
    assert owner == LeaseOwner("pod-0", "incarnation-0", LocalProcess(host, BOOT_ID, ME, "900"))


def test_a_host_id_stands_in_for_the_machine_id_only(machine: Machine) -> None:
    """What the caller says never replaces namespaces or scheme."""
    own = own_liveness("rack 7")
    assert isinstance(own, LocalProcess)
    assert own.host_id == "linux-stat22;pid:[4026531836];time:[4026531834];machine:rack 7"


@pytest.mark.parametrize("bad", ["", "x" * 257, 7])
def test_a_bad_host_id_is_refused(bad: Any) -> None:
    """A host id that says nothing, or too much, is an error that names it."""
    with pytest.raises(SettingsError, match="host_id"):
        LeaseOwner.local_process("pod-0", "incarnation-0", host_id=bad)


@pytest.mark.parametrize("text", [None, "", "uninitialized\n", "0" * 32])
def test_a_machine_without_an_id_is_known_by_its_namespaces(machine: Machine, text: str | None) -> None:
    """Slim images have no machine id: the host id does without, and never falls back to a host name."""
    machine.files["/etc/machine-id"] = text or ""
    own = own_liveness()
    assert isinstance(own, LocalProcess)
    assert own.host_id == "linux-stat22;pid:[4026531836];time:[4026531834]"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/proc/sys/kernel/random/boot_id", None),
        ("/proc/sys/kernel/random/boot_id", ""),
        ("/proc/sys/kernel/random/boot_id", "00000000-0000-0000-0000-000000000000\n"),
        ("/proc/sys/kernel/random/boot_id", "no boot id\n"),
        (f"/proc/{ME}/stat", None),
        (f"/proc/{ME}/stat", f"{ME} (python) S 1 2 3"),
        ("/proc/self/status", None),
        ("/proc/self/status", "Name:\tpython\nPid:\t7\n"),
        ("/proc/self/status", status(ME, nspid=f"99 {ME}")),
    ],
    ids=[
        "no boot id", "empty boot id", "boot id of zeros", "garbled boot id", "no stat", "short stat", "no status",
        "no NSpid", "a /proc of the namespace around ours",
    ],
)  # fmt: skip
def test_an_owner_is_opaque_where_a_fact_cannot_be_read(machine: Machine, path: str, text: str | None) -> None:
    """A missing fact makes an owner that is never provably dead, and no guess."""
    machine.files.pop(path)
    if text is not None:
        machine.files[path] = text
    assert own_liveness() == Opaque()
    assert own_liveness("a-host-id-does-not-help") == Opaque()


@pytest.mark.parametrize("kind", ["pid", "time"])
@pytest.mark.parametrize("text", [None, "", "user:[1]", "pid:[]"])
def test_an_owner_is_opaque_without_its_namespaces(machine: Machine, kind: str, text: str | None) -> None:
    """Pids and start ticks mean nothing without the namespaces that they count in."""
    machine.links.pop(f"/proc/self/ns/{kind}")
    if text is not None:
        machine.links[f"/proc/self/ns/{kind}"] = text
    assert own_liveness() == Opaque()


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_anywhere_but_on_linux_an_owner_is_opaque(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    """Elsewhere nothing is known that could prove a death, and no signal is sent to find out."""
    monkeypatch.setattr(sys, "platform", platform)
    assert own_liveness() == Opaque()
    assert holder().proof_of_death(claimant()) is None
    assert machine.signalled == []


# Who may prove


def test_a_pid_that_is_gone_is_a_proof(machine: Machine) -> None:
    """Absence is proven by ESRCH, and needs nothing else to be read."""
    machine.files.clear()
    assert holder().proof_of_death(claimant()) == "gone"
    assert holder().is_definitely_dead_for(claimant())


def test_a_pid_with_another_start_is_a_proof(machine: Machine) -> None:
    """The pid was given to another process: the holder has gone."""
    machine.runs(THEM, "501")
    assert holder(start="500").proof_of_death(claimant()) == "replaced"
    assert holder(start="500").is_definitely_dead_for(claimant())


def test_a_pid_with_the_same_start_is_alive(machine: Machine) -> None:
    """The holder itself answers."""
    machine.runs(THEM, "500")
    assert holder(start="500").proof_of_death(claimant()) is None
    assert not holder(start="500").is_definitely_dead_for(claimant())


def test_starts_are_compared_as_text(machine: Machine) -> None:
    """The texts are compared, never parsed: what the registry carries is what was read."""
    machine.runs(THEM, "500")
    assert holder(start="0500").proof_of_death(claimant()) == "replaced"


@pytest.mark.parametrize(
    ("held_by", "asked_by"),
    [
        (holder(host="other"), claimant()),
        (holder(boot="other"), claimant()),
        (holder(), claimant(host="other")),
        (holder(), claimant(boot="other")),
        (holder(), claimant(host="host ")),
        (holder(host="", boot="boot"), claimant(host="", boot="boot")),
        (holder(host="host", boot=""), claimant(host="host", boot="")),
        (holder(start=""), claimant()),
        (holder(), claimant(pid=os.getppid())),
        (holder(), claimant(pid=ME + 1)),
        (holder(), LeaseOwner.opaque("pod-1", "incarnation-1")),
        (LeaseOwner.opaque("pod-0", "incarnation-0"), claimant()),
        (LeaseOwner.opaque("pod-0", "incarnation-0"), LeaseOwner.opaque("pod-1", "incarnation-1")),
    ],
    ids=[
        "other host", "other boot", "asked from another host", "asked after another boot", "almost the host",
        "no host", "no boot", "no start", "asked for the parent", "asked for another pid", "opaque claimant",
        "opaque holder", "both opaque",
    ],
)  # fmt: skip
def test_only_the_same_place_and_the_process_that_asks_prove_anything(
    machine: Machine, held_by: LeaseOwner, asked_by: LeaseOwner
) -> None:
    """A pid that is gone here says nothing about another host, another boot, or for somebody else."""
    assert holder().proof_of_death(claimant()) == "gone", "the pid is gone, so each refusal has its own reason"
    machine.signalled.clear()
    assert held_by.proof_of_death(asked_by) is None
    assert machine.signalled == [], "nobody is even asked"


def test_an_incarnation_never_proves_itself_dead(machine: Machine) -> None:
    """Even if its pid seems to be another's, the one who asks is alive."""
    for owner_id in ("pod-0", "pod-1"):
        asking = LeaseOwner(owner_id, "incarnation-0", LocalProcess("host", "boot", ME, "900"))
        assert holder(start="500").proof_of_death(asking) is None
        assert holder(pid=ME, start="500").proof_of_death(asking) is None


def test_a_reused_name_proves_nothing_and_prevents_nothing(machine: Machine) -> None:
    """A successor under the same owner id is judged as anybody else."""
    successor = LeaseOwner("pod-0", "incarnation-1", LocalProcess("host", "boot", ME, "900"))
    assert holder().proof_of_death(successor) == "gone"
    machine.runs(THEM, "500")
    assert holder().proof_of_death(successor) is None


def test_two_incarnations_in_one_process_prove_nothing_about_each_other(machine: Machine) -> None:
    """Two workers embedded in one program share pid and start: each sees the other alive."""
    assert holder(pid=ME, start="900").proof_of_death(claimant()) is None


def test_who_has_the_pid_of_the_holder_can_prove_it_replaced(machine: Machine) -> None:
    """A restarted worker that was given its predecessor's pid is itself the proof."""
    assert holder(pid=ME, start="500").proof_of_death(claimant()) == "replaced"


# What is unknown


@pytest.mark.parametrize("pid", [0, -1, -THEM, True, 4242.0, "4242", None, 2**31, 2**63, 2**200])
def test_a_pid_that_is_none_proves_nothing(pid: Any) -> None:
    """Zero and negative numbers mean groups, and what the kernel could not have given out is no evidence.

    Asked of the real kernel, which is where a number too large ends.
    """
    assert holder(pid=pid).proof_of_death(claimant()) is None


@pytest.mark.parametrize("pid", [0, -1, True, "4242"])
def test_a_pid_that_is_none_is_never_signalled(machine: Machine, pid: Any) -> None:
    """A question must not reach a whole group."""
    holder(pid=pid).proof_of_death(claimant())
    assert machine.signalled == []


@pytest.mark.parametrize("error", [OSError(), InterruptedError(), OSError(38, "ENOSYS"), OverflowError()])
def test_an_answer_that_is_not_understood_proves_nothing(machine: Machine, error: BaseException) -> None:
    """Only ESRCH means gone."""
    machine.runs(THEM, "501")
    machine.signals[THEM] = error
    assert holder().proof_of_death(claimant()) is None


def test_another_users_process_is_judged_by_its_start(machine: Machine) -> None:
    """EPERM says that the pid exists; whose it is, its start says."""
    machine.runs(THEM, "500")
    machine.signals[THEM] = PermissionError()
    assert holder(start="500").proof_of_death(claimant()) is None
    assert holder(start="499").proof_of_death(claimant()) == "replaced"


@pytest.mark.parametrize("answer", [None, PermissionError()], ids=["answers", "EPERM"])
@pytest.mark.parametrize("hidden", [["stat"], ["status"], ["stat", "status"]])
def test_a_hidden_pid_is_unknown(machine: Machine, hidden: list[str], answer: PermissionError | None) -> None:
    """A pid that answers and cannot be read is not dead, however its start might read."""
    machine.runs(THEM, "501")
    machine.signals[THEM] = answer
    for name in hidden:
        del machine.files[f"/proc/{THEM}/{name}"]
    assert holder(start="500").proof_of_death(claimant()) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"{THEM} (python",
        f"{THEM} (python) S 1 2 3",
        stat(THEM, "x501"),
        stat(THEM, "-501"),
        stat(THEM, "٥٠١"),
        stat(THEM + 1, "501"),
        "501)" * 60,
    ],
    ids=[
        "empty", "nonsense", "no end of name", "too short", "letters", "negative", "digits of another script",
        "another pid", "parentheses",
    ],
)  # fmt: skip
def test_a_stat_that_is_not_understood_is_unknown(machine: Machine, text: str) -> None:
    """Field 22 of this very pid as digits, or nothing."""
    machine.runs(THEM, "501")
    machine.files[f"/proc/{THEM}/stat"] = text
    assert holder(start="500").proof_of_death(claimant()) is None


def test_a_start_that_does_not_read_the_same_twice_is_unknown(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes under the eyes is left to the next pass."""
    machine.runs(THEM, "501")
    starts = iter(["501", "502"])

    def read(path: str) -> str | None:
        return stat(THEM, next(starts)) if path == f"/proc/{THEM}/stat" else machine.read(path)

    monkeypatch.setattr(liveness, "file_text", read)
    assert holder(start="500").proof_of_death(claimant()) is None


@pytest.mark.parametrize(
    "own",
    ["", "Name:\tpython\n", status(ME, nspid=f"99 {ME}"), status(99, nspid="99")],
    ids=["none", "too old to say", "of the namespace around ours", "somebody else's"],
)
def test_a_proc_of_another_namespace_is_no_witness(machine: Machine, own: str) -> None:
    """Another namespace's /proc shows another process under the pid: what it shows is unknown, what is gone is gone."""
    machine.runs(THEM, "501", tgid=7)
    machine.files["/proc/self/status"] = own
    assert holder(start="500").proof_of_death(claimant()) is None
    del machine.signals[THEM]
    assert holder(start="500").proof_of_death(claimant()) == "gone"


# Threads, zombies, names


def test_a_number_that_is_a_threads_now_is_gone(machine: Machine) -> None:
    """A process keeps its number until its last thread has ended, so that it is not the holder who answers."""
    machine.runs(THEM, "501", tgid=77)
    assert holder(start="500").proof_of_death(claimant()) == "gone"
    machine.runs(THEM, "500", tgid=77)
    assert holder(start="500").proof_of_death(claimant()) == "gone"


@pytest.mark.parametrize("line", ["", "Tgid:\n", "Tgid:\tx\n", "Tgid:\t77 78\n", "Tgid\t77\n"])
def test_a_thread_group_that_cannot_be_read_is_unknown(machine: Machine, line: str) -> None:
    """Only a Tgid that says so makes a number a thread's."""
    machine.runs(THEM, "501")
    machine.files[f"/proc/{THEM}/status"] = f"Name:\tpython\n{line}Pid:\t{THEM}\n"
    assert holder(start="500").proof_of_death(claimant()) is None


def test_a_status_of_another_pid_is_unknown(machine: Machine) -> None:
    """Something mounted over /proc/<pid> says nothing about the pid."""
    machine.runs(THEM, "501")
    machine.files[f"/proc/{THEM}/status"] = status(78, tgid=77)
    assert holder(start="500").proof_of_death(claimant()) is None


HOSTILE_NAMES = ["a) S 1 (b", "))))", "(((", "x y z", ") S" + " 1" * 5, "x\x0bTgid:\t1", "x\x85Tgid:\t1", "x\rTgid:\t1"]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_name_cannot_forge_a_start_or_a_thread_group(machine: Machine, name: str) -> None:
    """A program may call itself what it likes: fields are counted after its last parenthesis, lines end at newlines."""
    machine.runs(THEM, "500", name=name)
    assert holder(start="500").proof_of_death(claimant()) is None
    assert holder(start="499").proof_of_death(claimant()) == "replaced"


# Everything at once

Spoiling = Callable[[dict[str, str]], Any]
SPOILED: list[Spoiling] = [
    lambda files: None,
    lambda files: files.pop(f"/proc/{THEM}/stat", None),
    lambda files: files.pop(f"/proc/{THEM}/status", None),
    lambda files: files.pop("/proc/self/status", None),
    lambda files: files.update({f"/proc/{THEM}/stat": stat(7, "501")}),
    lambda files: files.update({f"/proc/{THEM}/stat": "garbage) S"}),
    lambda files: files.update({f"/proc/{THEM}/status": status(7, tgid=8)}),
    lambda files: files.update({"/proc/self/status": status(ME, nspid=f"99 {ME}")}),
]


@pytest.mark.parametrize("answer", [None, PermissionError(), OSError(), OverflowError()], ids=repr)
def test_whatever_is_hidden_or_garbled_a_holder_that_is_there_is_not_dead(
    machine: Machine, answer: BaseException | None
) -> None:
    """No two faults together make a proof out of a living holder."""
    for first, second in itertools.product(SPOILED, SPOILED):
        machine.files = Machine().files
        machine.runs(THEM, "500")
        machine.signals[THEM] = answer
        first(machine.files)
        second(machine.files)
        assert holder(start="500").proof_of_death(claimant()) is None
