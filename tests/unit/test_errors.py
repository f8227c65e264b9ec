"""What every error of ours must bear: to be copied, and to be sent to another OS process."""

from __future__ import annotations

import copy
import datetime as dt
import inspect
import pickle

import pytest

from lash_redis.core import errors
from lash_redis.core.liveness import LeaseOwner
from lash_redis.core.model import ProcessLease
from lash_redis.core.outcomes import Abandoned, AbandonEvidence, AbandonWriter, Cancelled, Failure
from lash_redis.core.retrying import Retry, Snooze

OWNER = LeaseOwner.opaque("pod-1", "life-1")
LEASE = ProcessLease("p", OWNER, "token", 7, 1, 2)
MADE: list[errors.LashError] = [
    errors.SettingsError("no"),
    errors.UnsafeServerError("no"),
    errors.PayloadError("no"),
    errors.RegistryUnavailable("claim", "no route", maybe_applied=True),
    errors.ScriptError("no"),
    errors.RecordedDead(OWNER),
    errors.ForkedCopy("no"),
    errors.UnknownProcess("p"),
    errors.UnknownSchedule("nightly"),
    errors.UnreadableRow("p", "newer"),
    errors.RegistrationConflict(["p", "q"]),
    errors.NamespaceMismatch("gone"),
    errors.AlreadyTerminal("p", "completed"),
    errors.AlreadyStarted("p", OWNER),
    errors.NothingToAbandon("p"),
    errors.NothingToResolve("p", "completed"),
    errors.StarterAlive("p", "its starter lives"),
    errors.NotItsTurn("p", "it is delayed"),
    errors.CannotAwait("p", "q", "it was pruned"),
    errors.CannotJoinGroup("p", "g", "it is closed"),
    errors.NotUnique("q", "p"),
    errors.QueueFull("mail", 3, 3),
    errors.AuthorityRejected("p", "not yours"),
    errors.LeaseLost("p", LEASE),
    errors.LeaseHeld("p", LEASE),
    errors.OutcomePruned("p"),
    errors.WorkFailed("p", Failure("ValueError", "no", "Traceback")),
    errors.WorkCancelled("p", Cancelled("wish")),
    errors.WorkAbandoned("p", Abandoned(AbandonEvidence(AbandonWriter.SWEEP, OWNER, 1, "gone"))),
]
ASKING: list[Exception] = [Retry("busy", after=5), Snooze(dt.timedelta(minutes=1))]  # raised by the code of tasks


@pytest.mark.parametrize("error", [*MADE, *ASKING], ids=lambda error: type(error).__name__)
def test_an_error_survives_a_pickle_and_a_copy(error: Exception) -> None:
    """Code in a process pool raises it where the pool is awaited: with its text, its facts and its notes."""
    error.add_note("in the shop")

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert (type(again), str(again), again.args, vars(again)) == (type(error), str(error), error.args, vars(error))


def test_no_error_is_left_out_here() -> None:
    """A new one is put into the list above."""
    roots = {errors.LashError, errors.RegistryError, errors.NoResult, errors.OutcomeUncertain}
    defined = {each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, errors.LashError)}

    assert {type(each) for each in MADE} == defined - roots
