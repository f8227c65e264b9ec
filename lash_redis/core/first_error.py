"""Several things done one after the other, so that one which fails holds up no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lash_redis.core.errors import RegistryUnavailable


class FirstError:
    """Goes on past errors, and raises one of them at the end."""

    def __init__(self) -> None:
        self._errors: list[Exception] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is raised in the block, and go on behind it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised at the end
            self._errors.append(error)

    def raise_it(self) -> None:
        """Raise the first error that was kept, if there is one; before all others one that a later try may not meet."""
        passing = [error for error in self._errors if isinstance(error, RegistryUnavailable)]
        for error in passing or self._errors:
            raise error
