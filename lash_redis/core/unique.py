"""Work that is not to be queued twice: which processes count as the same, and what becomes of the second one. Pure."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from lash_redis.core.checks import Check, checked_text, refused
from lash_redis.core.durations import Duration, milliseconds
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError
from lash_redis.core.named_arguments import ByName

OnDuplicate = Literal["existing", "refuse", "replace", "debounce"]
Until = Literal["end", "start"]

_ON_DUPLICATE: Final = ("existing", "refuse", "replace", "debounce")
_ROUTE = re.compile(r"(?!-)[A-Za-z0-9._:/@+-]{1,200}(?<!:)")


class Unique(msgspec.Struct, frozen=True, kw_only=True, metaclass=ByName):
    """While a process with the same task and key counts, another submit of it makes no second one.

    Attributes:
        by: the name of a parameter, or several, whose values are the key. None: all arguments are, or ``key``.
        key: the key itself, up to 256 bytes. None: it is made of arguments.
        until: how long a process counts: until its ``"end"``, or until its ``"start"``. Unless given, to the end; with
            ``"replace"`` and ``"debounce"`` to the start.
        within: or for so long after its submit, whatever becomes of it; seconds or a timedelta.
        on_duplicate: what the second submit does. ``"existing"`` answers the process that counts. ``"refuse"`` raises
            ``NotUnique``. ``"replace"`` cancels the other one, if it never started and nothing awaits it, and takes its
            place. ``"debounce"`` lets the other one wait for the whole delay again, if it is delayed and never started.
            What cannot be replaced or moved is answered as ``"existing"``.
        longest: how long such a process is put off at most, after its first submit; seconds or a timedelta. With
            ``"debounce"`` alone, which needs it.

    Raises:
        SettingsError: a value is outside what is allowed, or two of them exclude each other.
    """

    by: str | tuple[str, ...] | None = None
    key: str | None = None
    until: Until | None = None
    within: Duration | None = None
    on_duplicate: OnDuplicate = "existing"
    longest: Duration | None = None

    def __post_init__(self) -> None:
        if self.on_duplicate not in _ON_DUPLICATE:
            raise refused("on_duplicate", f"one of {', '.join(_ON_DUPLICATE)}", self.on_duplicate)
        if self.until not in (None, "end", "start"):
            raise refused("until", '"end" or "start"', self.until)
        if self.by is not None and self.key is not None:
            raise SettingsError(f"expected by or key, got both: {shown(self.by)} and {shown(self.key)}")
        if self.until is not None and self.within is not None:
            raise SettingsError(f"expected until or within, got both: {shown(self.until)} and {shown(self.within)}")
        if (self.longest is None) == (self.on_duplicate == "debounce"):
            allowed = "given" if self.longest is None else "left out"
            raise SettingsError(
                f"expected longest to be {allowed} with on_duplicate={self.on_duplicate!r}, got {shown(self.longest)}: "
                "it says how long a debounced process is put off at most"
            )
        if self.key is not None:
            checked_text("key", self.key, 256)
        _ = self.names, self.within_ms, self.longest_ms

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters that make the key; none if all do.

        Raises:
            SettingsError: they are no names.
        """
        if self.by is None:
            return ()
        names: Any = (self.by,) if isinstance(self.by, str) else self.by
        if not isinstance(names, (tuple, list)) or not names or not all(map(_is_name, names)):
            raise refused("by", "the name of a parameter, or several", self.by)
        return tuple(names)

    @property
    def counts_until(self) -> Until:
        """How long a process counts, if not for a time."""
        return self.until or ("start" if self.on_duplicate in ("replace", "debounce") else "end")

    @property
    def within_ms(self) -> int:
        """For how long a process counts, ms; 0: as ``until`` says."""
        return 0 if self.within is None else milliseconds("within", self.within, at_least_ms=1)

    @property
    def longest_ms(self) -> int:
        """How long a process is put off at most, ms."""
        return 0 if self.longest is None else milliseconds("longest", self.longest, at_least_ms=1)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _checked(what: str, value: object) -> Unique | None:
    if value is not None and not isinstance(value, Unique):
        raise refused(what, 'a Unique, such as Unique(), Unique(by="customer") or Unique(key="nightly")', value)
    return value


UNIQUE: Final = Check("a Unique, or None", _checked)


def unique_digest(task: str, key: str) -> str:
    """Return the name under which a key of a task stands in the registry: 32 hex digits."""
    return sha256(f"{task}\0{key}".encode()).hexdigest()[:32]


def unique_route(task: str, key: str) -> str:
    """Return the route of all processes with this key: the key itself if it can be one, else its digest.

    Processes of one route stand in one partition, where they find each other.
    """
    return key if _ROUTE.fullmatch(key) and "::" not in key else unique_digest(task, key)


def check_unique(unique: Unique, *, is_task: bool, delay_ms: int) -> None:
    """Check what makes a registration unique.

    Raises:
        SettingsError: it is no task, there is no key, or what is put off waits for nothing.
    """
    if not is_task:
        raise SettingsError(f"expected unique to be left out, got {shown(unique)}: only tasks have unique keys")
    if unique.key is None:
        raise SettingsError(f"expected the unique key of a registration, got none: {shown(unique)}")
    if unique.on_duplicate == "debounce" and not delay_ms:
        raise SettingsError("expected a delay with on_duplicate='debounce', got none: what is put off waits for it")
