"""Registrations that are encoded together are what each would be alone."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import PayloadError
from lash_redis.core.model import ProcessRegistration, RecoveryDisposition, TaskInput
from lash_redis.registry.calls.alike_rows import AlikeCalls
from lash_redis.registry.calls.encoded_rows import encode_registration, runs_of

LIKE = ProcessRegistration(
    "first", TaskInput("shop.charge", (1,)), RecoveryDisposition.OWNER_BOUND, chosen_id=False, labels={"tenant": "42"}
)
CALLS: list[tuple[list[Any], dict[str, Any]]] = [
    ([1, "two", None, 2.5, b"x", True], {}),
    ([], {}),
    (["x" * 100], {}),
    ([[1, 2], {"a": 1}], {}),
    ([{"b": 1, "a": 2}], {}),
    ([1], {"by": "name"}),
    ([], {"b": 1, "a": 2}),
]


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_a_call_is_encoded_as_its_registration(call: tuple[list[Any], dict[str, Any]]) -> None:
    """Whether its arguments are plain and short or not."""
    args, kwargs = call
    alone = encode_registration(LIKE.of_call("p", TaskInput("shop.charge", tuple(args), kwargs)), 1 << 20)

    assert AlikeCalls(LIKE, 1 << 20).rows(["p"], [call]).rows == [alone]


@pytest.mark.parametrize("most", [8, 63, 90])
def test_a_call_that_is_too_long_is_refused_by_its_id(most: int) -> None:
    """As it would be alone."""
    calls: list[Any] = [([1], {}), (["x" * most], {})]

    with pytest.raises(PayloadError, match="at most") as refused:
        AlikeCalls(LIKE, most).rows(["p", "q"], calls)
    assert refused.value.process_id == "q"


def test_what_neighbours_have_in_common_is_said_once() -> None:
    """A batch is told in runs, in its order; of one without any content digest none is told."""
    alike = AlikeCalls(LIKE, 1 << 20).rows(["p", "q"], [([1], {}), ([2], {})]).rows
    other = encode_registration(ProcessRegistration("r", TaskInput("other"), RecoveryDisposition.RERUNNABLE), 1 << 20)
    (with_digest,) = AlikeCalls(LIKE, 1 << 20).rows(["s"], [([{"b": 1, "a": 2}], {})]).rows

    runs = runs_of([*alike, other, *alike[:1], with_digest])

    assert [runs[0], runs[3], *runs[6:10]] == [2, 2, "p", alike[0].input, "q", alike[1].input]
    assert runs[10:17] == [1, "r", "default|other|", 2, b"ch", b"1", "r"]
    assert runs[18:22] == [2, "o", "default|shop.charge|", 3]
    assert runs[24:] == ["p", alike[0].input, b"", "s", with_digest.input, with_digest.content]
