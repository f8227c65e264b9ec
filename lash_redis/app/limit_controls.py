"""What a ``Lash`` does with limits that several tasks share: it declares them."""

from __future__ import annotations

from lash_redis.app.process import AppContext
from lash_redis.core.checks import LIMIT_NAME, checked_bool
from lash_redis.core.durations import Duration
from lash_redis.core.errors import SettingsError
from lash_redis.core.policies import Policy
from lash_redis.tasks.limits import policy


class LimitControls:
    """The part of ``Lash`` that is about limits."""

    _context: AppContext

    def limit(
        self,
        name: str,
        *,
        limit: int | None = None,
        rate: tuple[int, Duration] | None = None,
        keyed: bool = False,
        revision: int = 1,
    ) -> Policy:
        """Declare a limit that several tasks may share, each with ``within=`` what this returns.

        The first submit of such a task stores it in the registry, and so do ``open`` and a worker at its start.

        Args:
            name: 1 to 64 characters of ``[A-Za-z0-9._:/@+-]``.
            limit: how many processes run at once, or slots if they have a cost.
            rate: how many start in a window, and how long it is, seconds or a timedelta. A window opens with its first
                start.
            keyed: each key has it by itself; else all processes share it.
            revision: raise it with each change. A lower one than that in the registry changes nothing there.

        Raises:
            SettingsError: an argument is outside what is allowed, or the limit is declared otherwise.
        """
        made = policy(
            LIMIT_NAME.checked("name of a limit", name), limit, rate, revision, keyed=checked_bool("keyed", keyed)
        )
        if made is None:
            raise SettingsError(f"expected limit {name!r} to have limit= or rate=, got neither")
        known = self._context.limits.get(name, made)
        if known != made and made.revision <= known.revision:
            raise SettingsError(
                f"expected one limit {name!r}, got {known.text} (revision {known.revision}) and {made.text} "
                f"(revision {made.revision}): raise the revision of the one that is to hold"
            )
        self._context.limits[name] = made
        return made
