"""What an operator is shown of work that waits for other work."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import pytest

from lash_redis.core.model import ProcessStarted
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import ADA, OWNER_BOUND, work
from tests.conformance.test_awaiting import give_up
from tests.system.conftest import Ran

pytestmark = pytest.mark.system


@pytest.fixture
async def registry(url: str, namespace: str) -> AsyncIterator[ProcessRegistry]:
    """Return a registry."""
    registry = ProcessRegistry(url, namespace)
    await registry.open()
    yield registry
    await registry.aclose()


async def test_whoever_looks_at_what_is_blocked_is_told_what_holds_it_up(
    cli: Callable[..., Ran], registry: ProcessRegistry
) -> None:
    """What no time ends comes first, of however many, with the command that helps."""
    others = [f"r::{number:02}" for number in range(20)]
    await registry.register_many([work(name) for name in others])
    await registry.register_many([work(name, OWNER_BOUND) for name in ("r::lost", "r::silent")])
    after = (*others, "r::lost", "r::silent")
    await registry.register(work("r::then", after=after, if_failed="cancel"))
    await give_up(registry, "r::lost")
    await registry.record_first_started("r::silent", ProcessStarted(ADA, 1))

    shown = cli("show", "r::then").stdout

    assert re.search(
        r"it waits for 22 to end: r::lost \(abandoned, unresolved\), r::silent \(uncertain\), r::00", shown
    )
    assert "lash-redis resolve r::lost --as happened|did_not_happen|accepted --by … --reason …" in shown
    assert "lash-redis abandon r::silent --by … --reason …" in shown


async def test_a_group_that_was_left_open_is_shown(cli: Callable[..., Ran], registry: ProcessRegistry) -> None:
    """In the list, and with what helps; one that is closed waits for its members alone."""
    for process_id in ("left-open", "closed", "by-chance"):
        chosen = process_id != "by-chance"
        await registry.register(work(process_id, opens_group=True, if_failed="run", chosen_id=chosen))
        await registry.register(work(f"{process_id}::0", member_of=process_id))
    await registry.close_group("closed")

    listed = {line.split()[0]: line for line in cli("ps", "--phase", "blocked").stdout.splitlines() if line}

    assert [name for name in ("left-open", "closed", "by-chance") if "its group is held open" in listed[name]] == [
        "left-open",
        "by-chance",
    ]
    assert "the same block run again; lash-redis cancel left-open --by … --reason …" in cli("show", "left-open").stdout
    assert "only the program that opened it closes it" in cli("show", "by-chance").stdout
    assert "held open" not in cli("show", "closed").stdout
