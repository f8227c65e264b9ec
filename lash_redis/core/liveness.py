"""Who owns a lease, and the proof that such an owner is dead (rules 2.1 to 2.4).

A pid is absent if ``kill(pid, 0)`` fails with ESRCH, and replaced if it has another start time now. Whatever cannot be
read or is not understood proves nothing: a missed proof makes a row wait, a false one runs owner-bound work twice.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from typing import Literal

import msgspec

from lash_redis.core.checks import checked_id, checked_text
from lash_redis.core.struct_checks import check_types

ProofOfDeath = Literal["gone", "replaced"]

# The process start is field 22 of /proc/<pid>/stat, in clock ticks since boot. A release that reads it in another way
# must use another name, so that two releases never compare different readings.
_SCHEME = "linux-stat22"

_NAMESPACE = re.compile(r"(?:pid|time):\[[0-9]+\]")
_BOOT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_START_AFTER_NAME = 22 - 3  # fields 1 and 2 are the pid and the name; what follows the name starts at field 3


def node_name() -> str:
    """Return what this machine calls itself, as far as it may be part of an owner id."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:128] or "host"


class Opaque(msgspec.Struct, frozen=True, tag="opaque"):
    """An owner whose death cannot be proven."""


class LocalProcess(msgspec.Struct, frozen=True, tag="local_process"):
    """An owner that is one OS process. Its texts are compared, never parsed.

    Attributes:
        host_id: in the clear: how ``process_start`` is read, the pid and time namespaces that give ``pid`` and
            ``process_start`` their meaning, and the machine id if there is one.
        boot_id: of the running kernel; all containers of a machine share it.
        pid: in its own pid namespace.
        process_start: clock ticks since boot, as ``/proc/<pid>/stat`` writes them.
    """

    host_id: str
    boot_id: str
    pid: int
    process_start: str

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("host_id", "boot_id", "process_start"):
            checked_text(name, getattr(self, name), 1024, at_least=0)


Liveness = Opaque | LocalProcess


class LeaseOwner(msgspec.Struct, frozen=True):
    """Who holds a lease, or started a process. Two owners are the same if owner id and incarnation are equal.

    Attributes:
        owner_id: a stable name (pod and slot); names are reused and prove nothing.
        incarnation_id: one life of one worker process.
        liveness: what a claimant can prove this owner's death by.

    Raises:
        SettingsError: an id is outside what is allowed.
    """

    owner_id: str
    incarnation_id: str
    liveness: Liveness

    def __post_init__(self) -> None:
        checked_id("owner_id", self.owner_id)
        checked_id("incarnation_id", self.incarnation_id)
        check_types(self)

    @classmethod
    def opaque(cls, owner_id: str, incarnation_id: str) -> LeaseOwner:
        """Return an owner that is never provably dead."""
        return cls(owner_id, incarnation_id, Opaque())

    @classmethod
    def local_process(cls, owner_id: str, incarnation_id: str, host_id: str | None = None) -> LeaseOwner:
        """Return an owner that is this OS process, opaque where the machine does not say enough.

        ``host_id`` replaces the machine id only: namespaces and scheme stay part of the compared text.
        """
        return cls(owner_id, incarnation_id, own_liveness(host_id))

    def is_definitely_dead_for(self, claimant: LeaseOwner) -> bool:
        """Say whether ``claimant``, who must be this OS process, can prove this owner dead."""
        return self.proof_of_death(claimant) is not None

    def proof_of_death(self, claimant: LeaseOwner) -> ProofOfDeath | None:
        """Name the proof that this owner is dead: ``gone``, ``replaced``, or None where there is none.

        The claimant must be a local process with the same host id and boot id. It must be the OS process that asks, and
        another incarnation, since none proves itself dead (rule 2.1).
        """
        holder, asking = self.liveness, claimant.liveness
        if not isinstance(holder, LocalProcess) or not isinstance(asking, LocalProcess):
            return None
        if self.incarnation_id == claimant.incarnation_id:
            return None
        if not (holder.host_id and holder.boot_id and holder.process_start):
            return None  # an empty text names nothing, and would equal any other empty text
        if holder.host_id != asking.host_id or holder.boot_id != asking.boot_id:
            return None
        if asking.pid != os.getpid():
            return None
        return _fate_of(holder.pid, holder.process_start)

    def is_definitely_alive_for(self, claimant: LeaseOwner) -> bool:
        """Say whether ``claimant``, who must be this OS process, can read that the owner's pid is that OS process.

        If its start can be read, ``proof_of_death`` calls the same owner with another start *replaced*.
        """
        liveness = self.liveness
        if not isinstance(liveness, LocalProcess):
            return False
        other = msgspec.structs.replace(liveness, process_start=f"not {liveness.process_start}")
        is_readable = msgspec.structs.replace(self, liveness=other).proof_of_death(claimant) == "replaced"
        return is_readable and self.proof_of_death(claimant) is None


def own_liveness(host_id: str | None = None) -> Liveness:
    """Return what this OS process is, opaque unless namespaces, boot id and start can all be read.

    Raises:
        SettingsError: ``host_id`` is not text of 1 to 256 bytes.
    """
    if host_id is not None:
        checked_text("host_id", host_id, 256)
    host, boot, start = _host_text(host_id), _boot_id(), _own_start()
    if host is None or boot is None or start is None:
        return Opaque()
    return LocalProcess(host, boot, os.getpid(), start)


def _fate_of(pid: int, process_start: str) -> ProofOfDeath | None:
    """Look up a pid of this pid namespace.

    Each proof is final when it is seen, since a process that has lost its pid never gets it back. A race with a death
    or with a reuse of the pid can only miss a proof.
    """
    if sys.platform != "linux" or type(pid) is not int or pid <= 0:
        return None  # kill(0) and kill(-n) address groups; on Windows kill(pid, 0) sends Ctrl-C
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass  # the process exists and belongs to another user
    except (OSError, OverflowError):
        return None
    if not _proc_counts_as_we_do():
        return None
    leader = _thread_group_of(pid)
    if leader is None:
        return None
    if leader != pid:
        return "gone"  # the number belongs to a thread now; a process keeps its pid until its last thread has ended
    seen = _start_of(pid)
    if seen is None or seen == process_start or _start_of(pid) != seen:
        return None
    return "replaced"


def _host_text(host_id: str | None) -> str | None:
    if sys.platform != "linux":
        return None
    pid_namespace, time_namespace = _namespace("pid"), _namespace("time")
    if pid_namespace is None or time_namespace is None:
        return None
    machine = host_id or _machine_id()
    named = [f"machine:{machine}"] if machine else []
    return ";".join([_SCHEME, pid_namespace, time_namespace, *named])


def _namespace(kind: str) -> str | None:
    try:
        text = os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return None
    return text if _NAMESPACE.fullmatch(text) else None


def _boot_id() -> str | None:
    text = (file_text("/proc/sys/kernel/random/boot_id") or "").strip()
    return text if _BOOT_ID.fullmatch(text) and text.strip("0-") else None


def _machine_id() -> str | None:
    text = (file_text("/etc/machine-id") or "").strip()
    return text if _MACHINE_ID.fullmatch(text) and text.strip("0") else None


def _own_start() -> str | None:
    return _start_of(os.getpid()) if _proc_counts_as_we_do() else None


def _proc_counts_as_we_do() -> bool:
    """Say whether /proc shows this process's own pid namespace, and not an outer one.

    ``NSpid`` lists our pid in each namespace from that of /proc down to ours. One number means that both are the same.
    """
    return _status_field("self", "NSpid") == [str(os.getpid())]


def _thread_group_of(pid: int) -> int | None:
    if _status_field(str(pid), "Pid") != [str(pid)]:
        return None
    match _status_field(str(pid), "Tgid"):
        case [number] if number.isdecimal():
            return int(number)
    return None


def _status_field(process: str, name: str) -> list[str] | None:
    # Not splitlines(): the kernel escapes a newline in a process's name, but not the other line ends of splitlines().
    for line in (file_text(f"/proc/{process}/status") or "").split("\n"):
        field, colon, value = line.partition(":")
        if colon and field == name:
            return value.split()
    return None


def _start_of(pid: int) -> str | None:
    text = file_text(f"/proc/{pid}/stat") or ""
    before, parenthesis, after = text.rpartition(")")  # the name may itself hold parentheses and blanks
    fields = after.split()
    if not parenthesis or not before.startswith(f"{pid} (") or len(fields) <= _START_AFTER_NAME:
        return None
    start = fields[_START_AFTER_NAME]
    return start if start.isascii() and start.isdecimal() else None


def file_text(path: str) -> str | None:
    """Return the text of a file, or None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return None
