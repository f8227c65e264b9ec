"""The context variables of runs. Each run gets a context of its own, so that none sees what another has set."""

from __future__ import annotations

import contextvars
import decimal

from lash_redis.core.current import CurrentProcess, set_current


class RunContexts:
    """Makes contexts for runs, each a copy of the context in which this was made."""

    def __init__(self) -> None:
        self._clean = contextvars.copy_context()
        self._has_decimal = any(isinstance(value, decimal.Context) for value in self._clean.values())

    def new(self, current: CurrentProcess) -> contextvars.Context:
        """Return a context for one run, which knows what it is an attempt at."""
        context = self._clean.copy()
        context.run(set_current, current)
        if self._has_decimal:  # otherwise the run makes one when it first needs it
            context.run(_own_decimal_context)
        return context


def _own_decimal_context() -> None:
    """Replace the context of ``decimal``: a copy of the variables alone would share the object with other runs."""
    decimal.setcontext(decimal.getcontext().copy())
