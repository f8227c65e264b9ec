"""The loops of the bench without Redis run what they say, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis
import msgspec
import pytest
from benchmarks.floor import in_tasks, one_by_one
from benchmarks.thin import Recorded, Replayed, Thin

from lash_redis import ProcessRegistry
from lash_redis.registry.calls.batch_claims import name_lanes
from lash_redis.registry.scripts import function_of

INPUTS = [msgspec.msgpack.encode([[number], {}]) for number in range(10)]


class Doubling:
    """A task that notes its runs."""

    def __init__(self) -> None:
        self.ran: list[int] = []

    async def __call__(self, number: int) -> int:
        """Return twice as much."""
        self.ran.append(number)
        return 2 * number


@pytest.mark.parametrize("loop", [one_by_one, in_tasks])
async def test_a_loop_runs_each_input_once_and_encodes_its_result(loop: Any) -> None:
    """The numbers come in order, since none of them waits."""
    double = Doubling()

    results = await loop(INPUTS, double)

    assert double.ran == list(range(10))
    assert [msgspec.msgpack.decode(each) for each in results] == [[2 * number] for number in range(10)]


async def test_tasks_are_no_more_at_once_than_is_said() -> None:
    """The last batch is a smaller one."""
    double, sizes = Doubling(), list[int]()

    class Counted(Sequence[bytes]):
        def __getitem__(self, at: Any) -> Any:
            sizes.append(len(INPUTS[at]))
            return INPUTS[at]

        def __len__(self) -> int:
            return len(INPUTS)

    results = await in_tasks(Counted(), double, at_once=4)

    assert len(results) == 10
    assert sizes == [4, 4, 2]


class Wire:
    """A wire that answers each command with the same bytes, in two parts."""

    def __init__(self, answer: bytes) -> None:
        self.sent: list[bytes] = []
        self._answer = answer
        self._coming: list[bytes] = []

    def sendall(self, data: bytes, /) -> None:
        """Note what was sent."""
        self.sent.append(data)
        self._coming = [self._answer[:3], self._answer[3:]]

    def recv(self, _size: int, /) -> bytes:
        """Return the next part."""
        return self._coming.pop(0)

    def close(self) -> None:
        """Do nothing."""


def test_a_call_of_the_thinnest_client_is_that_of_the_product_and_can_be_replayed() -> None:
    """The script's function, one key, the arguments, and the namespace's uuid at the end."""
    registry = ProcessRegistry("redis://127.0.0.1:1", namespace="bench")
    registry.target.namespace.uuid = "the-uuid"
    wire = Wire(b"*1\r\n$5\r\nNAMED\r\n")
    recorded = Recorded(wire)

    Thin(registry, recorded).perform(name_lanes, 0, "list.1", ["a|b|c"])
    Thin(registry, Replayed(recorded.came)).perform(name_lanes, 0, "list.1", ["a|b|c"])

    reader = hiredis.Reader()
    reader.feed(wire.sent[0])
    words = reader.gets()
    assert words[:2] == [b"FCALL", function_of("name_lanes").name.encode()]
    assert words[2:] == [b"1", registry.target.namespace.header_key(0).encode(), b"list.1", b"a|b|c", b"the-uuid"]
    assert len(wire.sent) == 1


def test_an_error_of_the_server_is_raised() -> None:
    """It is no reply."""
    registry = ProcessRegistry("redis://127.0.0.1:1", namespace="bench")

    with pytest.raises(hiredis.ReplyError, match="NOSCRIPT"):
        Thin(registry, Wire(b"-NOSCRIPT no\r\n")).perform(name_lanes, 0, "list.1", ["a|b|c"])
