"""The handlers of SIGTERM and SIGINT while a worker of a program drains by them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from lash_redis.core.errors import LashError, SettingsError
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.signals import DrainStep, _Shared, signals_that_drain
from lash_redis.worker.worker import Worker


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """Install the handlers of before again, whatever a test does."""
    before = handlers()
    yield
    for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
        signal.signal(each, handler)


def handlers() -> list[Any]:
    """Return the handlers of SIGTERM and SIGINT."""
    return [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]


async def test_only_the_main_thread_can_drain_by_signals() -> None:
    """Python handles signals there alone; the error says what to do elsewhere."""
    worker = Worker(ProcessRegistry("unix:///nowhere/s"))

    with pytest.raises(SettingsError, match=r"main thread.*'asyncio_\d+'.*drain\(\)"):
        await asyncio.to_thread(lambda: asyncio.run(worker.run(signals=True)))


async def test_a_worker_that_cannot_start_leaves_the_handlers_as_they_were() -> None:
    """Its program sees the error, and Ctrl-C does what it did."""
    before = handlers()

    with pytest.raises(LashError):
        await Worker(ProcessRegistry("unix:///nowhere/s", timeout_s=0.01)).run(signals=True)

    assert handlers() == before


async def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """A shell ignores Ctrl-C for what a script starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    before = handlers()

    with signals_that_drain(lambda _: None):
        assert [a == b for a, b in zip(handlers(), before, strict=True)] == [False, True]

    assert handlers() == before


async def test_handlers_that_were_installed_meanwhile_stand() -> None:
    """The program's own choice is not undone."""

    def own(_number: int, _frame: object) -> None: ...

    with signals_that_drain(lambda _: None):
        signal.signal(signal.SIGTERM, own)

    assert signal.getsignal(signal.SIGTERM) is own


async def test_workers_share_the_handlers_in_any_order() -> None:
    """The first that ends takes nothing away from the second."""
    before = handlers()
    heard: list[tuple[str, DrainStep]] = []
    first = signals_that_drain(lambda step: heard.append(("first", step)))
    second = signals_that_drain(lambda step: heard.append(("second", step)))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)

    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0)

    second.__exit__(None, None, None)
    assert heard == [("second", DrainStep.BEGIN)]
    assert handlers() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_no_signal_is_lost_while_the_handlers_change(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """One that comes between two steps drains, or does what it did before: never nothing."""
    heard: list[str] = []
    windows = 0
    install = signal.signal

    def with_a_signal_around(each: int, handler: Any) -> Any:
        nonlocal windows
        windows += 1
        signal.raise_signal(number)
        before = install(each, handler)
        signal.raise_signal(number)
        return before

    def own(_number: int, _frame: object) -> None:
        heard.append("own")

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, own)
    monkeypatch.setattr("lash_redis.worker.signals.on_loop", lambda *_: lambda *_: heard.append("drains"))
    monkeypatch.setattr(signal, "signal", with_a_signal_around)
    with signals_that_drain(lambda _: None):
        monkeypatch.setattr(signal, "signal", install)
        assert heard.count("drains") > 0
        monkeypatch.setattr(signal, "signal", with_a_signal_around)

    assert heard[-1] == "own"
    assert len(heard) == 2 * windows


async def test_what_stops_the_installation_leaves_no_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come between two steps. The next worker installs its handlers all the same."""
    before = handlers()
    monkeypatch.setattr(signal, "signal", lambda *_: signal.default_int_handler(signal.SIGINT, None))
    with pytest.raises(KeyboardInterrupt), signals_that_drain(lambda _: None):
        pass
    monkeypatch.undo()

    with signals_that_drain(lambda _: None):
        assert handlers()[0] != before[0]
    assert handlers() == before


async def test_a_forked_child_has_no_handler_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of its own that drains by signals installs its handlers, and takes them away again."""
    before = handlers()
    monkeypatch.setattr("lash_redis.worker.signals._shared", shared := _Shared())
    parent = signals_that_drain(lambda _: None)
    parent.__enter__()

    shared.begin_anew()  # as in the child

    assert handlers() == before
    with signals_that_drain(lambda _: None):
        assert handlers() != before
    assert handlers() == before
    parent.__exit__(None, None, None)


async def test_signals_is_true_or_false() -> None:
    """A text is no answer: "no" would be taken for yes."""
    worker = Worker(ProcessRegistry("unix:///nowhere/s"))
    for act in (worker.run, worker.drive_pending):
        with pytest.raises(SettingsError, match="expected signals to be True or False, got 'no'"):
            await act(signals="no")  # type: ignore[arg-type]
