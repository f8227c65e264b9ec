"""Externally owned work: expected, completed under an authority, never run."""

from __future__ import annotations

from datetime import date

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import (
    AuthorityRejected,
    PayloadError,
    RegistrationConflict,
    SettingsError,
    UnknownProcess,
)
from lash_redis.core.model import ExternalInput, ExternalOwner, Phase, RecoveryDisposition
from lash_redis.core.outcomes import Failure, Success

DESK, SOMEBODY_ELSE = ExternalOwner("desk"), ExternalOwner("somebody else")


async def test_expected_work_stands_outside(lash: Lash) -> None:
    """No worker ever claims it. Its metadata is for the outside actor."""
    step = await lash.expect("approval:42", grantee="desk", metadata={"amount": 3})

    record = await step.record()
    assert record.input == ExternalInput({"amount": 3})
    assert (record.disposition, record.phase) == (RecoveryDisposition.EXTERNALLY_OWNED, Phase.OUTSIDE)
    assert record.granted_to == "desk"


async def test_the_grantee_completes_it(lash: Lash) -> None:
    """A wait returns the outcome that the outside actor gave."""
    step = await lash.expect("approval:42", grantee="desk")

    await lash.complete_external("approval:42", Success(value=True), DESK)

    assert await step.outcome(timeout=10) == Success(value=True)


async def test_nobody_but_the_grantee_completes_it(lash: Lash) -> None:
    """The authority must be the grantee of the registration."""
    step = await lash.expect("approval:42", grantee="desk")

    with pytest.raises(AuthorityRejected):
        await lash.complete_external("approval:42", Success(value=True), SOMEBODY_ELSE)

    assert not (await step.record()).is_terminal


async def test_without_a_grantee_any_authority_completes_it(lash: Lash) -> None:
    """The outcome is recorded in the same way."""
    await lash.expect("approval:42")

    record = await lash.complete_external("approval:42", Failure("refused"), SOMEBODY_ELSE)

    assert record.outcome == Failure("refused")


async def test_expecting_the_same_again_is_the_same_process(lash: Lash) -> None:
    """With another grantee it is a conflict."""
    await lash.expect("approval:42", grantee="desk")
    await lash.expect("approval:42", grantee="desk")

    with pytest.raises(RegistrationConflict):
        await lash.expect("approval:42", grantee="somebody else")


async def test_the_same_completion_again_answers_the_record(lash: Lash) -> None:
    """A caller whose reply was lost sends the same again."""
    await lash.expect("approval:42")

    first = await lash.complete_external("approval:42", Success(value=True), DESK)

    assert await lash.complete_external("approval:42", Success(value=True), DESK) == first


async def test_completing_an_unknown_process_is_an_error(lash: Lash) -> None:
    """A completion creates no process."""
    with pytest.raises(UnknownProcess):
        await lash.complete_external("nobody", Success(), DESK)


async def test_metadata_that_would_arrive_as_something_else_is_refused(lash: Lash) -> None:
    """Metadata has no annotation from which a date could be rebuilt."""
    with pytest.raises(PayloadError, match=r"metadata\['due'\].*`date`"):
        await lash.expect("approval:42", metadata={"due": date(2024, 1, 1)})


async def test_a_bad_id_is_refused(lash: Lash) -> None:
    """The error comes before anything is sent."""
    with pytest.raises(SettingsError, match="expected process id"):
        await lash.expect("approval 42")


def test_code_without_an_event_loop_uses_the_same_names(lash: Lash) -> None:
    """``Lash.blocking`` has them."""
    step = lash.blocking.expect("approval:42", "desk")

    lash.blocking.complete_external("approval:42", Success(value=True), DESK)

    assert step.blocking.outcome(timeout=10) == Success(value=True)
    assert lash.blocking.process("approval:42").blocking.record().is_terminal
