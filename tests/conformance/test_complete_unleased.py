"""complete_unleased: externally owned work ends under its explicit authority."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.core.errors import AlreadyTerminal, AuthorityRejected, UnknownProcess
from lash_redis.core.model import ExternalOwner, Phase, ProcessStatus, RecoveryDisposition
from lash_redis.core.outcomes import AbandonWriter, Cancelled, Failure, Outcome, Success
from lash_redis.registry.registry import ProcessRegistry
from tests.conformance.actors import (
    ADA,
    OWNER_BOUND,
    RERUNNABLE,
    abandoned,
    begun,
    cancel,
    outside,
    work,
)
from tests.conftest import ServerTime
from tests.look import record_of
from tests.soundness import keyspace

DESK = ExternalOwner("desk")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Success(value=True), ProcessStatus.COMPLETED),
        (Success("x" * 200), ProcessStatus.COMPLETED),
        (Failure("refused", "no"), ProcessStatus.FAILED),
        (Cancelled("withdrawn"), ProcessStatus.CANCELLED),
    ],
)
async def test_the_outside_actor_says_what_became_of_it(
    registry: ProcessRegistry, outcome: Outcome, status: ProcessStatus
) -> None:
    """Completed, failed and cancelled are its to write, without a lease and without a request."""
    await registry.register(outside())

    record = await registry.complete_unleased("p", outcome, DESK)

    assert (record.status, record.outcome) == (status, outcome)
    assert record == await registry.get("p")
    assert record.first_started is None


async def test_only_the_grantee_may_complete_it(registry: ProcessRegistry) -> None:
    """If the registration names one."""
    await registry.register(outside(granted_to="desk"))

    with pytest.raises(AuthorityRejected, match="'p': it is granted to 'desk', not to 'office'"):
        await registry.complete_unleased("p", Success(), ExternalOwner("office"))
    record = await record_of(registry, "p")
    assert record.phase is Phase.OUTSIDE
    assert (await registry.complete_unleased("p", Success(), DESK)).is_terminal


async def test_without_a_grantee_any_authority_will_do_and_is_recorded(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """Who completed it stands with the fact."""
    await registry.register(outside())
    await registry.complete_unleased("p", Success(), ExternalOwner("anyone"))

    rows = [keys["p:p"].value for keys in (await keyspace(client, namespace)).values() if "p:p" in keys]
    assert [row["by"] for row in rows if isinstance(row, dict)] == [b"anyone"]
    assert [int(row["fe"]) >= int(row["ta"]) for row in rows if isinstance(row, dict)] == [True]


async def test_the_same_words_under_another_state_are_another_fact(registry: ProcessRegistry) -> None:
    """A result and a reason may read alike."""
    await registry.register(outside())
    await registry.complete_unleased("p", Success("no"), DESK)

    with pytest.raises(AlreadyTerminal):
        await registry.complete_unleased("p", Cancelled("no"), DESK)


async def test_abandoned_is_no_authoritys_to_write(registry: ProcessRegistry) -> None:
    """A sweep writes it, on request."""
    await registry.register(outside())

    with pytest.raises(AuthorityRejected, match="'p': only recovery writes that it was abandoned"):
        await registry.complete_unleased("p", abandoned(AbandonWriter.RECONCILED_REQUEST, None), DESK)


@pytest.mark.parametrize("disposition", [RERUNNABLE, OWNER_BOUND])
async def test_work_of_the_pool_is_not_completed_from_outside(
    registry: ProcessRegistry, disposition: RecoveryDisposition
) -> None:
    """Whoever asks; the holder is not disturbed."""
    await registry.register(work("p", disposition, granted_to="desk"))
    lease = await begun(registry, "p", ADA)

    with pytest.raises(AuthorityRejected, match=f"'p': it is {disposition.value}, so that the pool runs it"):
        await registry.complete_unleased("p", Success(), DESK)
    assert await registry.lease("p") == lease


async def test_the_same_completion_again_answers_the_record(
    registry: ProcessRegistry, client: Any, namespace: str
) -> None:
    """By the same authority with the same outcome, short or long."""
    for id_, value in (("p", "short"), ("q", "x" * 500)):
        await registry.register(outside(id_))
        record = await registry.complete_unleased(id_, Success(value), DESK)
        before = await keyspace(client, namespace)

        assert await registry.complete_unleased(id_, Success(value), DESK) == record
        assert await keyspace(client, namespace) == before


@pytest.mark.parametrize(
    ("outcome", "authority"),
    [(Success(2), DESK), (Success("x" * 500), DESK), (Failure("X"), DESK), (Success(1), ExternalOwner("office"))],
    ids=["value", "long value", "state", "authority"],
)
async def test_any_other_completion_is_refused(
    registry: ProcessRegistry, outcome: Outcome, authority: ExternalOwner
) -> None:
    """The fact stands as it was first written."""
    await registry.register(outside())
    record = await registry.complete_unleased("p", Success(1), DESK)

    with pytest.raises(AlreadyTerminal):
        await registry.complete_unleased("p", outcome, authority)
    assert await registry.get("p") == record


async def test_an_authority_is_judged_by_the_registration_that_stands(
    registry: ProcessRegistry, server: ServerTime
) -> None:
    """Completed, pruned and registered anew with another disposition: the old authority is no right."""
    await registry.register(outside())
    ended = await registry.complete_unleased("p", Success(1), DESK)
    await server.pass_until((ended.ended_at_ms or 0) + 1)
    await registry.prune(await server.now_ms())
    await registry.register(work())

    with pytest.raises(AuthorityRejected):
        await registry.complete_unleased("p", Success(1), DESK)


async def test_a_cancel_request_is_shown_and_no_more(registry: ProcessRegistry) -> None:
    """The outside actor decides; what it says then stands."""
    await registry.register(outside())

    record = await registry.request_cancel("p", cancel())

    assert (record.phase, record.cancel_request) == (Phase.OUTSIDE, cancel())
    assert (await registry.complete_unleased("p", Success(), DESK)).status is ProcessStatus.COMPLETED


async def test_unknown_before_terminal_before_authority(registry: ProcessRegistry) -> None:
    """A call raises the first that fails."""
    await registry.register(outside(granted_to="desk"))
    await registry.complete_unleased("p", Success(), DESK)

    with pytest.raises(UnknownProcess):
        await registry.complete_unleased("nobody", Success(), DESK)
    with pytest.raises(AlreadyTerminal):
        await registry.complete_unleased("p", Success(), ExternalOwner("office"))
