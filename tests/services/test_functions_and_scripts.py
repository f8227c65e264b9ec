"""Each call that is made as a function is made as a script too, on a copy of its partition: both must do the same.

A function's state outlives its call, a script's does not. So whatever one call leaves to the next is seen here, also
what a call leaves that is refused or ends in its middle.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
import redis

from lash_redis.core import timing
from lash_redis.core.errors import AlreadyTerminal, CannotAwait, RegistryUnavailable, UnknownProcess
from lash_redis.core.policies import Policy
from lash_redis.registry.keys import partition_prefix
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.scripts import Function, Script, function_of
from lash_redis.registry.transport import transport as transport_module
from tests.conformance.actors import work
from tests.conformance.test_random_keys import World as Keys
from tests.conformance.test_random_queues import World as Queues
from tests.conftest import Backend, ServerTime
from tests.servers import KINDS, Server
from tests.support import StillClock

STEPS: Final = 100
CLOCK: Final = ("clock:s", "clock:us")


@pytest.fixture(params=KINDS)
def own(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Own a server whose second database is free for the copies."""
    with Server(request.param) as running:
        yield running


def of_one_clock(source: str) -> str:
    """Return a script that reads the time from keys, so that both ways to run it have the same."""
    found = source.replace("redis.call('TIME')", "redis.call('MGET', '{}', '{}')".format(*CLOCK))
    assert found != source
    return found


@functools.cache
def function_of_one_clock(script: str, *, in_slots: bool = False) -> Function:
    """Return its function that does so."""
    real = function_of(script, in_slots=in_slots)
    name = f"{real.name}_twin"
    return Function(name, of_one_clock(real.library).replace(real.name, name))


class Twins:
    """Runs the calls of a registry both ways.

    Attributes:
        seen: how often each script has run so.
        failed: how many calls met an error in their middle.
    """

    def __init__(self, server: Server, registry: ProcessRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: dict[str, int] = {}
        self.failed = 0
        self._one: Any = redis.Redis(unix_socket_path=str(server.socket))
        self._other: Any = redis.Redis(unix_socket_path=str(server.socket), db=1)
        self._transport = registry.sender.transport
        self._run = self._transport.run
        monkeypatch.setattr(transport_module, "function_of", function_of_one_clock)
        monkeypatch.setattr(self._transport, "run", self.run)

    async def run(self, script: Script, header: str, args: Sequence[Any], *, shebang: bool) -> list[Any]:
        """Run it as a function, then as a script on a copy of what was there, and compare answers and keys."""
        now = dict(zip(CLOCK, self._one.time(), strict=True))
        self._other.flushdb()
        for database in (self._one, self._other):
            database.mset(now)
        keys = f"{header.removesuffix(':hdr')}:*"
        for key in self._one.scan_iter(match=keys, count=10_000):
            self._one.copy(key, key, destination_db=1)
        answer: Any
        try:
            answer = await self._run(script, header, args, shebang=shebang)
        except Exception as error:
            self.failed += 1
            with pytest.raises(redis.ResponseError):
                self._as_script(script, header, args)
            raise error from None
        else:
            assert self._as_script(script, header, args) == answer, script.name
        finally:
            assert contents(self._one, keys) == contents(self._other, keys), script.name
        self.seen[script.name] = self.seen.get(script.name, 0) + 1
        return answer  # type: ignore[no-any-return]

    def _as_script(self, script: Script, header: str, args: Sequence[Any]) -> Any:
        return self._other.eval(of_one_clock(script.shebang_source), 1, header, *args)

    def close(self) -> None:
        """Close the connections."""
        self._one.close()
        self._other.close()


def contents(client: Any, keys: str) -> dict[bytes, Any]:
    """Return what all keys of a partition hold."""
    read = {
        b"hash": client.hgetall,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"string": client.get,
    }
    found = {}
    for key in client.scan_iter(match=keys, count=10_000):
        if (kind := client.type(key)) in read:  # else it has expired meanwhile
            found[key] = read[kind](key)
    return found


async def test_calls_as_functions_and_as_scripts_do_the_same(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random work with keys, limits, bounds and unique keys; calls that are refused, and some that meet an error."""
    registry = ProcessRegistry(own.url, "twins")
    await registry.open()
    twins = Twins(own, registry, monkeypatch)
    raw = Backend("twins", own.url).client()
    keys = Keys(registry, ServerTime(Backend("twins", own.url), raw), raw, 1)
    queues = Queues(registry, 1)
    await registry.name_policies(0, [Policy(scope, scope == "a", 16) for scope in ("a", "all")])
    chance = random.Random(1)
    steps = [keys.step] * 4 + [queues.submit, queues.claim, queues.end, queues.cancel, queues.bound, queues.await_one]
    with timing.use(StillClock()):
        for number in range(STEPS):
            with contextlib.suppress(UnknownProcess, AlreadyTerminal, CannotAwait):
                await chance.choice(steps)()
            if number % 10 == 0:
                await break_in_the_middle(registry, raw, number)
    twins.close()
    await raw.aclose()
    await registry.aclose()

    assert twins.failed >= STEPS / 10
    assert {"register", "claim_next", "terminalize", "retry", "release", "settle", "bring_due"} <= twins.seen.keys()


async def break_in_the_middle(registry: ProcessRegistry, raw: Any, number: int) -> None:
    """Let a registration meet a lane of another kind than it expects, once it has begun to write."""
    lane = f"{partition_prefix(registry.namespace, 0)}:q:broken|work|"
    await raw.set(lane, "no lane")
    with pytest.raises(RegistryUnavailable, match="wrong kind"):
        await registry.register_many([work(f"broken-{number}", queue="broken")])
    await raw.delete(lane)
