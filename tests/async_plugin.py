"""Run ``async def`` tests and fixtures, each test with its fixtures on one event loop of its own.

Loaded by ``-p`` in pyproject.toml. Async fixtures are function-scoped, as their loop is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from functools import partial
from typing import Any

import pytest

Fixture = pytest.FixtureDef[Any]


@pytest.fixture
def event_loop_runner() -> Iterator[asyncio.Runner]:
    """Own the event loop of one test; closing it cancels what the test left behind."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Let an async test ask for the loop first, so that the loop outlives each of its fixtures."""
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.fixturenames.insert(0, event_loop_runner.__name__)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test to its end; leave every other test to pytest."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: value for name, value in pyfuncitem.funcargs.items() if name in wanted}
    runner = pyfuncitem.funcargs[event_loop_runner.__name__]
    assert isinstance(runner, asyncio.Runner)
    runner.run(pyfuncitem.obj(**arguments))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Fixture, request: pytest.FixtureRequest) -> Generator[None, object, object]:
    """Show pytest an async fixture as a plain one while it sets it up."""
    written = fixturedef.func
    if inspect.isasyncgenfunction(written):
        plain: Callable[..., Any] = partial(_yielded, _runner_of(request), written)
    elif inspect.iscoroutinefunction(written):
        plain = partial(_returned, _runner_of(request), written)
    else:
        return (yield)
    fixturedef.func = plain  # type: ignore[misc]  # Final for users, replaced by plugins
    try:
        return (yield)
    finally:
        fixturedef.func = written  # type: ignore[misc]


def _runner_of(request: pytest.FixtureRequest) -> asyncio.Runner:
    runner: asyncio.Runner = request.getfixturevalue(event_loop_runner.__name__)
    return runner


def _returned(runner: asyncio.Runner, written: Callable[..., Coroutine[Any, Any, Any]], **arguments: object) -> object:
    return runner.run(written(**arguments))


def _yielded(runner: asyncio.Runner, written: Callable[..., AsyncIterator[Any]], **arguments: object) -> Iterator[Any]:
    async def advance() -> object:
        return await anext(values, None)

    values = written(**arguments)
    yield runner.run(advance())
    runner.run(advance())
