"""The signatures that stand in a namespace, and the lanes with rows of some tasks."""

from __future__ import annotations

from typing import Any

from lash_redis.core.lanes import lane
from lash_redis.core.model import ProcessRegistration, RecoveryDisposition, TaskInput
from lash_redis.core.terms import Terms
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.served_lanes import ServedLanes
from lash_redis.tasks.bare_parameters import BareParameter, encode_parameters
from tests.conformance.actors import ids_of
from tests.conftest import ServerTime, delete_namespace
from tests.soundness import keyspace

SERVED = ServedLanes([("default", [lane("default", "mail")])])
ONE, OTHER = "0" * 15 + "1", "0" * 15 + "2"
PARAMETERS = encode_parameters([BareParameter("to", "POSITIONAL_OR_KEYWORD", False)])
NO_PARAMETERS = encode_parameters([])


def mail(process_id: str, digest: str, task: str = "mail", queue: str = "default") -> ProcessRegistration:
    """Return a registration of one signature of a task."""
    return ProcessRegistration(
        process_id, TaskInput(task), RecoveryDisposition.RERUNNABLE, queue=queue, signature=digest
    )


async def test_the_filled_lanes_of_some_tasks_are_found_page_by_page(
    registry: ProcessRegistry, partitions: int
) -> None:
    """However many there are, those of no other task or queue, each with its signature if somebody has named it."""
    digests = [f"{number:016x}" for number in range(510)]
    *ids, other, elsewhere, late = ids_of(513, 0, partitions)
    await registry.register_many([mail(id_, digest) for id_, digest in zip(ids, digests, strict=True)])
    await registry.register_many(
        [mail(other, ONE, "mail2"), mail(elsewhere, ONE, queue="urgent"), mail(late, ONE, "text")]
    )
    await registry.name_signatures(0, {ONE: PARAMETERS})

    many = [f"default|none{number}|" for number in range(505)]
    found = await registry.filled_lanes(0, SERVED, ["default|mail|", *many, "default|text|"])

    expected = {lane("default", "mail", each): PARAMETERS if each == ONE else b"" for each in digests}
    assert found == expected | {lane("default", "text", ONE): PARAMETERS}


async def test_a_lane_is_found_by_its_whole_name(registry: ProcessRegistry, partitions: int) -> None:
    """A wake-up names it."""
    one, other = ids_of(2, 0, partitions)
    await registry.register_many([mail(one, ONE), mail(other, OTHER)])

    assert [*await registry.filled_lanes(0, SERVED, [lane("default", "mail", OTHER)])] == [
        lane("default", "mail", OTHER)
    ]


async def test_a_look_notes_that_a_worker_lives(
    registry: ProcessRegistry, client: Any, namespace: str, server: ServerTime
) -> None:
    """Also of one that claims nothing since its hands are full. It names its lanes if it must."""
    await registry.filled_lanes(0, SERVED, [])
    first = (await keyspace(client, namespace))[0]
    await server.pass_until(await server.now_ms() + 10)
    await registry.filled_lanes(0, SERVED, [])
    second = (await keyspace(client, namespace))[0]

    assert f"serves:{SERVED.name}" in first
    assert second["lists"].value[SERVED.name] > first["lists"].value[SERVED.name]  # type: ignore[call-overload]


async def test_the_first_writer_of_a_signature_wins(registry: ProcessRegistry, partitions: int) -> None:
    """A digest has one meaning for ever."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.submit_many([mail(id_, ONE)], Terms({ONE: PARAMETERS}))
    await registry.name_signatures(0, {ONE: NO_PARAMETERS})

    assert await registry.filled_lanes(0, SERVED, ["default|mail|"]) == {lane("default", "mail", ONE): PARAMETERS}


async def test_a_program_names_a_signature_once_in_each_partition(
    registry: ProcessRegistry, monkeypatch: Any, partitions: int
) -> None:
    """Before the first registration that needs it, and never again."""
    sent: list[str] = []
    run = registry.sender.transport.run

    async def noted(script: Any, *args: Any, **options: Any) -> Any:
        sent.append(script.name)
        return await run(script, *args, **options)

    await registry.open()
    monkeypatch.setattr(registry.sender.transport, "run", noted)
    for number, id_ in enumerate(ids_of(3, 0, partitions)):
        await registry.submit_many([mail(id_, ONE)], Terms({ONE: PARAMETERS}))
        assert sent == ["name_signatures", *["register"] * (number + 1)]


async def test_a_namespace_that_was_made_anew_knows_no_signature(
    registry: ProcessRegistry, client: Any, namespace: str, partitions: int
) -> None:
    """After a flush a program that goes on names its signatures again, or no other release could read its rows."""
    (id_,) = ids_of(1, 0, partitions)
    await registry.submit_many([mail(id_, ONE)], Terms({ONE: PARAMETERS}))
    await delete_namespace(client, namespace)
    registry.find_anew()
    await registry.submit_many([mail(id_, ONE)], Terms({ONE: PARAMETERS}))

    assert await registry.filled_lanes(0, SERVED, ["default|mail|"]) == {lane("default", "mail", ONE): PARAMETERS}
