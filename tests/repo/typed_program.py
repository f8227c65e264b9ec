"""A program as type checkers see it: what they must know of it, and the lines that they must refuse.

mypy reads it with the rest of the tests, and pyright in ``test_types.py``. A refused line carries an ignore that names
mypy's rule. An ignore of which there is no need is an error to both. Nothing here is ever run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any, assert_type

from lash_redis import (
    Abandoned,
    BlockingProcess,
    Cancelled,
    CurrentProcess,
    ExternalOwner,
    Failure,
    Lash,
    Outcome,
    Process,
    RecoveryDisposition,
    Success,
    current_process,
)

lash = Lash()


@lash.task(recovery="owner_bound")
async def charge(order_id: str, cents: int = 100) -> str:
    """Return a receipt."""
    return f"{order_id}: {cents}"


@lash.task(recovery=RecoveryDisposition.RERUNNABLE, queue="pictures", loss_limit=3)
def thumbnail(picture: str, width: int) -> set[int]:
    """Return sizes."""
    return {width, len(picture)}


@lash.task(recovery="rerunnable")
def later(seconds: float) -> Awaitable[bytes]:
    """Return what is to be awaited."""
    raise NotImplementedError


@lash.task(recovery="rerunnable")
def nothing() -> None:
    """Take and return nothing."""


@lash.task(recovery="rerunnable")
def five(a: int, b: int, c: int, d: int, e: int) -> int:
    """Take more than the overloads count."""
    return a + b + c + d + e


def calls() -> Iterator[tuple[str, int]]:
    """Yield arguments."""
    yield "o-18", 5


async def what_is_known() -> None:
    """Follow every type from the function."""
    assert_type(await charge("o-17", 5), str)
    process = await charge.submit("o-17", cents=5)
    assert_type(process, Process[str])
    assert_type(await process.outcome(), Outcome[str])
    assert_type(await process.result(timeout=5), str)
    match await process.outcome(timeout=0):
        case Success(value):
            assert_type(value, str)
        case Failure(code):
            assert_type(code, str)
        case Cancelled(reason):
            assert_type(reason, str | None)
        case Abandoned(evidence):
            assert_type(evidence.epoch_ms, int)

    assert_type(await thumbnail.submit("cat.png", 80), Process[set[int]])
    assert_type(await later.submit(0.5), Process[bytes])
    assert_type(await nothing.submit(), Process[None])
    assert_type(await charge.options(process_id="o-17").submit("o-17"), Process[str])

    assert_type(await charge.submit_many([("o-18",), ("o-19",)]), list[Process[str]])
    assert_type(await charge.submit_many(calls()), list[Process[str]])
    assert_type(await thumbnail.submit_many([("cat.png", 80)]), list[Process[set[int]]])
    assert_type(await nothing.submit_many([(), ()]), list[Process[None]])
    assert_type(await five.submit_many([(1, 2, 3, 4, 5)]), list[Process[int]])

    many = await charge.submit_many(calls())
    assert_type(await lash.gather(*many, timeout=5), list[str])
    assert_type(await lash.gather(*many, return_exceptions=True), list[str | BaseException])
    async for each, outcome in lash.as_completed(many, timeout=5):
        assert_type(each, Process[str])
        assert_type(outcome, Outcome[str])

    assert_type(await lash.expect("approval:42"), Process[Any])
    assert_type(lash.process("o-17"), Process[Any])
    assert_type(current_process(), CurrentProcess)
    assert_type(current_process(None), CurrentProcess | None)
    some: Process = lash.process("o-17")
    wanted: Process[str] = lash.process("o-17")
    wider: Process[object] = process
    any_end: Outcome = Success(value=True)
    assert some is wanted is wider
    await lash.complete_external("approval:42", any_end, ExternalOwner("desk"))


def what_is_known_without_an_event_loop() -> None:
    """Tell the same of code that blocks."""
    assert_type(charge.blocking.submit("o-17", cents=5), BlockingProcess[str])
    assert_type(charge.blocking.submit("o-17", cents=5).blocking.outcome(), Outcome[str])
    assert_type(lash.blocking.process("o-17"), BlockingProcess[Any])
    assert_type(lash.blocking.expect("approval:42"), BlockingProcess[Any])
    assert_type(charge.blocking.submit("o-17").blocking.result(timeout=5), str)
    assert_type(thumbnail.blocking.submit("cat.png", 80).blocking.result(), set[int])
    for each in charge.blocking.submit_many([("o-18", 5)]):
        assert_type(each.blocking.result(), str)
    for other in thumbnail.blocking.submit_many([("o-18", 5)]):
        assert_type(other.blocking.result(), set[int])
    many = charge.blocking.submit_many(calls())
    assert_type(lash.blocking.gather(*many, timeout=5), list[str])
    assert_type(lash.blocking.gather(*many, return_exceptions=True), list[str | BaseException])
    for handle, outcome in lash.blocking.as_completed(many):
        assert_type(handle, BlockingProcess[str])
        assert_type(outcome, Outcome[str])


async def what_is_refused() -> None:
    """Write only lines that are told of before they run."""
    await charge.submit(17)  # type: ignore[call-overload]
    await charge.submit("o-17", euros=5)  # type: ignore[call-overload]
    await thumbnail.submit("cat.png")  # type: ignore[call-arg]
    charge.blocking.submit(17)  # type: ignore[call-overload]
    await charge.submit_many([("o-18", "5")])  # type: ignore[list-item]
    await charge.submit_many(["o-18"])  # type: ignore[list-item]
    await thumbnail.submit_many([("cat.png",)])  # type: ignore[list-item]
    thumbnail.blocking.submit_many([("cat.png",)])  # type: ignore[list-item]
    await nothing.submit_many([(1,)])  # type: ignore[list-item]

    wrong: Process[int] = await charge.submit("o-17")  # type: ignore[assignment]
    wrong_result: int = await (await charge.submit("o-17")).result()  # type: ignore[assignment]
    assert [wrong, wrong_result]


lash.task()  # type: ignore[call-overload]
lash.task(nothing)  # type: ignore[call-overload]
lash.task("rerunnable")  # type: ignore[call-overload]
lash.task(recovery="retry")  # type: ignore[call-overload]
lash.task(recovery="externally_owned")  # type: ignore[call-overload]
lash.task(recovery=RecoveryDisposition.EXTERNALLY_OWNED)  # type: ignore[call-overload]
lash.task(recovery="rerunnable", retry=3)  # type: ignore[call-overload]
