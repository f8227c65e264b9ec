"""The plugin that runs async tests: its own tests are the tests that it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def opened() -> AsyncIterator[list[str]]:
    """Open on the loop of the test, and close on it."""
    loop, journal = asyncio.get_running_loop(), ["opened"]
    yield journal
    assert asyncio.get_running_loop() is loop
    assert journal == ["opened", "used"]


@pytest.fixture
async def loop_of_a_fixture() -> asyncio.AbstractEventLoop:
    """Return the loop that an async fixture sees."""
    return asyncio.get_running_loop()


async def test_a_fixture_lives_on_the_loop_of_its_test(
    loop_of_a_fixture: asyncio.AbstractEventLoop, opened: list[str]
) -> None:
    """What a fixture opened can be used by the test, since both have one loop."""
    opened.append("used")

    assert loop_of_a_fixture is asyncio.get_running_loop()


def test_a_plain_test_can_ask_for_an_async_fixture(loop_of_a_fixture: asyncio.AbstractEventLoop) -> None:
    """A plain test gets the fixture's value; no loop runs beside it."""
    assert not loop_of_a_fixture.is_running()


@pytest.mark.xfail(raises=ZeroDivisionError)
async def test_an_async_test_can_fail() -> None:
    """The error of an async test reaches pytest."""
    raise ZeroDivisionError
