"""The kinds of fault that may strike any call to the server: one table, for every suite that tries them all.

@pytest.mark.parametrize("kind", FAULT_KINDS, ids=str)
async def test_…(kind: FaultKind, proxy: Proxy):
    kind.strike(proxy, "terminalize", times=3)
"""

from __future__ import annotations

from typing import Final

import msgspec

from tests.proxy import READONLY, Fault, Proxy

CUT, SWALLOW = "cut", "swallow"

# Error replies by what sends them. Each can come before the call did anything.
REPLIES: Final = {
    "noperm": "NOPERM User lash has no permissions to run the 'evalsha' command",
    "noauth": "NOAUTH Authentication required.",
    "wrongpass": "WRONGPASS invalid username-password pair or user is disabled.",
    "readonly": READONLY,
    "masterdown": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "loading": "LOADING Redis is loading the dataset in memory",
    "busy": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "oom": "OOM command not allowed when used memory > 'maxmemory'.",
    "misconf": "MISCONF Errors writing to the AOF file: No space left on device",
    "noreplicas": "NOREPLICAS Not enough good replicas to write.",
    "clusterdown": "CLUSTERDOWN The cluster is down",
    "tryagain": "TRYAGAIN Multiple keys request during rehashing of slot",
    "max-clients": "ERR max number of clients reached",
    "moved": "MOVED 3999 127.0.0.1:6381",
    "proxy": "ERR upstream failure",
    "script": "ERR user_script:1: Script attempted to access a non local key in a cluster node script: 1",
    "unheard-of": "SOMETHING nobody has ever heard of",
}
# Those that can also come once the call was applied: a proxy lost its upstream, a script failed behind its commit.
REPLIES_AFTER: Final = ("noperm", "proxy", "script", "unheard-of")


class FaultKind(msgspec.Struct, frozen=True):
    """One kind of fault.

    Attributes:
        name: of the kind: one of ``REPLIES``, ``cut`` or ``swallow``.
        before: the call does not reach the server; else it was applied.
    """

    name: str
    before: bool

    def __str__(self) -> str:
        return f"{self.name}-{'before' if self.before else 'after'}"

    def strike(self, proxy: Proxy, call: str | None, *, times: int | None = 1) -> Fault:
        """Let it strike the next calls of a script or a command (None: any), ``times`` times or until it is ended."""
        if self.name == CUT:
            return proxy.cut(call, before=self.before, times=times)
        if self.name == SWALLOW:
            return proxy.swallow(call, before=self.before, times=times)
        return proxy.answer(call, REPLIES[self.name], before=self.before, times=times)


FAULT_KINDS: Final = (
    *(FaultKind(name, before=True) for name in (*REPLIES, CUT, SWALLOW)),
    *(FaultKind(name, before=False) for name in (*REPLIES_AFTER, CUT, SWALLOW)),
)
