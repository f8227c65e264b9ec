"""Labels: a process can be found by what its program calls it, and nothing of them outlives its row."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.core.labels import label_in
from lash_redis.core.model import ProcessStatus
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import cancel, work


async def listed(registry: ProcessRegistry, name: str, value: str, limit: int = 500) -> list[str]:
    """Return the ids of all pages."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await registry.list_labelled(name, value, limit, cursor)
        ids += [row.process_id for row in page.rows]
        if (cursor := page.cursor) is None:
            return ids


@pytest.mark.parametrize("limit", [1, 500])
async def test_what_has_a_label_is_listed_whatever_became_of_it(registry: ProcessRegistry, limit: int) -> None:
    """Over all partitions, each once."""
    ids = [f"p{number}" for number in range(9)]
    await registry.register_many([work(each, labels={"tenant": "42", "kind": each}) for each in ids])
    await registry.register(work("other", labels={"tenant": "4"}))
    await registry.request_cancel("p3", cancel())

    assert sorted(await listed(registry, "tenant", "42", limit)) == ids
    assert await listed(registry, "kind", "p7", limit) == ["p7"]
    assert await listed(registry, "tenant", "43", limit) == []


async def test_labels_stand_on_the_record_and_are_no_content(registry: ProcessRegistry) -> None:
    """The first submit's stand, also for one with others."""
    labels = {"tenant": "42", "path": "a=b c é"}
    first = await registry.register(work("p", labels=labels))

    assert first.labels == labels
    assert (await registry.register(work("p", labels={"tenant": "7"}))).labels == labels
    assert await listed(registry, "path", "a=b c é") == ["p"]
    assert await listed(registry, "tenant", "7") == []


async def test_a_label_goes_with_its_row(registry: ProcessRegistry) -> None:
    """No index is left of it."""
    await registry.register(work("p", labels={"tenant": "42"}))
    ended = await registry.request_cancel("p", cancel())
    assert ended.status is ProcessStatus.CANCELLED

    await registry.prune((ended.ended_at_ms or 0) + 1)

    assert await listed(registry, "tenant", "42") == []


@pytest.mark.parametrize(
    "labels",
    [
        {f"n{number}": "v" for number in range(9)}, {"": "v"}, {"a b": "v"}, {"a": ""}, {"a": "x" * 129}, {"a": 42},
        {"a": "b\nc"}, {1: "v"}, "a=b", {"a" * 65: "v"},
    ],
)  # fmt: skip
def test_what_is_no_label_is_refused_with_what_is_allowed(labels: Any) -> None:
    """At the submit, before anything is sent."""
    with pytest.raises(SettingsError, match=r"labels.*(characters|at most 8)"):
        work("p", labels=labels)


def test_a_command_line_names_a_label_by_name_and_value() -> None:
    """The value may have a sign of its own."""
    assert label_in("path=a=b") == ("path", "a=b")
    with pytest.raises(SettingsError, match="NAME=VALUE"):
        label_in("tenant")
