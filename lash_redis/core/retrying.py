"""When a run that failed is made again: the policy of a task, and what its code asks for itself."""

from __future__ import annotations

from typing import Final

import msgspec

from lash_redis.core.checks import checked_int, checked_text, refused
from lash_redis.core.durations import Duration, milliseconds
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.named_arguments import ByName
from lash_redis.core.timing import jittered

Errors = type[BaseException] | tuple[type[BaseException], ...]

MOST_ATTEMPTS: Final = 1_000_000


class Retries(msgspec.Struct, frozen=True, kw_only=True, metaclass=ByName):
    """How often rerunnable work is run that fails, and how long it waits between its runs.

    After the run number *n* it waits ``first * factor ** (n - 1)``, at most ``most``, moved at random by at most
    ``jitter`` of it either way, so that what failed together does not come back together.

    Attributes:
        attempts: runs in all, the first one included.
        first: the wait after the first run, seconds or a timedelta.
        factor: by how much each wait is longer than the one before, 1 to 100.
        most: the longest wait, seconds or a timedelta, before it is moved at random; no shorter than ``first``.
        jitter: 0 to 1.
        on: the exceptions after which it is run again, a class or a tuple of classes.
        never: those after which it is not, although they are among ``on``.

    Raises:
        SettingsError: a value is outside what is allowed.
    """

    attempts: int = 5
    first: Duration = 1.0
    factor: float = 2.0
    most: Duration = 600.0
    jitter: float = 0.2
    on: Errors = Exception
    never: Errors = ()

    def __post_init__(self) -> None:
        checked_int("attempts", self.attempts, at_least=1, at_most=MOST_ATTEMPTS)
        first = milliseconds("first", self.first)
        if milliseconds("most", self.most) < first:
            raise refused("most", f"no shorter than first, which is {shown(self.first)}", self.most)
        _checked_number("factor", self.factor, 1, 100)
        _checked_number("jitter", self.jitter, 0, 1)
        _checked_errors("on", self.on)
        _checked_errors("never", self.never)

    def is_for(self, error: BaseException) -> bool:
        """Say whether a run that ended with this error is made again, if it may be made once more."""
        kind = type(error)  # not isinstance, which asks the error for its class
        return issubclass(kind, self.on) and not issubclass(kind, self.never)

    def wait_ms(self, attempt: int) -> int:
        """Return how long to wait after this run, ms; the first run is number 1."""
        first, most = milliseconds("first", self.first), milliseconds("most", self.most)
        try:
            wait = min(first * float(self.factor) ** (attempt - 1), most)
        except OverflowError:
            wait = most if first else 0
        return round(jittered(wait, self.jitter))


def retries_of(given: object) -> Retries | None:
    """Return what ``retries=`` of a task means: a number of runs in all, or a ``Retries``; None for none.

    Raises:
        SettingsError: it is neither, or outside what is allowed.
    """
    if given is None or isinstance(given, Retries):
        return given
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MOST_ATTEMPTS:
        return Retries(attempts=given)
    raise refused("retries", f"a number of runs in all, from 1 to {MOST_ATTEMPTS}, or a Retries(...)", given)


class Retry(Exception):
    """Raised by the code of a rerunnable task to be run again later; that counts as an attempt.

    If the task has ``retries=``, its number of runs in all is kept to; else nothing limits them.

    Args:
        reason: what the record shows as the last failure.
        after: how long to wait, seconds or a timedelta; None: as the ``retries`` of the task say.

    Raises:
        SettingsError: ``after`` or ``reason`` is outside what is allowed.
    """

    def __init__(self, reason: str = "", *, after: Duration | None = None) -> None:
        if not isinstance(reason, str):
            raise refused("reason", "text", reason, ": how long it waits is said by name, Retry(after=...)")
        checked_text("reason", reason, 4096, at_least=0)
        self.after_ms = None if after is None else milliseconds("after", after)
        self.reason = reason
        super().__init__(reason)


class Snooze(Exception):
    """Raised by the code of a rerunnable task to be run again later, without counting this run: not now.

    Args:
        after: how long to wait, seconds or a timedelta.

    Raises:
        SettingsError: ``after`` is outside what is allowed.
    """

    def __init__(self, after: Duration) -> None:
        self.after_ms = milliseconds("after", after)
        super().__init__(after)  # what a pickle and a copy make it of again

    def __str__(self) -> str:
        return f"not for {self.after_ms / 1000:g} s"


class Again(msgspec.Struct, frozen=True):
    """That a run which failed is to be made again.

    Attributes:
        wait_ms: how long it waits before that, ms.
        attempts: the most runs in all; None: no limit.
        counts: whether the run that has ended counts as one of them.
    """

    wait_ms: int
    attempts: int | None = None
    counts: bool = True


def again_after(error: BaseException, attempt: int, retries: Retries | None) -> Again | None:
    """Return whether and when the run of rerunnable work that ended with this error is made again; None: it is not.

    Args:
        error: what it raised.
        attempt: the number of the run, from 1; those that were lost, released or snoozed are not counted.
        retries: what its task declares.
    """
    kind = type(error)
    if issubclass(kind, Snooze):
        return Again(error.after_ms, counts=False)  # type: ignore[attr-defined]
    if issubclass(kind, Retry):
        after_ms: int | None = error.after_ms  # type: ignore[attr-defined]
        wait_ms = (retries or Retries()).wait_ms(attempt) if after_ms is None else after_ms
        return Again(wait_ms, retries.attempts if retries else None)
    if retries is not None and retries.is_for(error):
        return Again(retries.wait_ms(attempt), retries.attempts)
    return None


def asks_to_run_again(error: BaseException) -> bool:
    """Say whether an error is a ``Retry`` or a ``Snooze``."""
    return issubclass(type(error), (Retry, Snooze))


def _checked_number(what: str, value: object, at_least: float, at_most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not at_least <= value <= at_most:
        raise refused(what, f"a number from {at_least} to {at_most}", value)


def _checked_errors(what: str, value: object) -> None:
    for kind in value if isinstance(value, tuple) else (value,):
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise SettingsError(f"expected {what} to be an exception class, or a tuple of them, got {shown(value)}")
