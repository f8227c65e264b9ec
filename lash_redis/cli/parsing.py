"""The parser of a verb's arguments, and how an id and a length of time are given."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, Final

from lash_redis.core.checks import checked_id
from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError

_SECONDS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_BEHIND: Final = "\0"  # marks what stands behind "--"; no argument of a command line has it


class Parser(argparse.ArgumentParser):
    """Takes the names of options whole: an abbreviation would change its meaning with the next option.

    Attributes:
        takes_ids_anywhere: ids that may be left out may stand before options and behind them. Python's own parser takes
            such ids for left out where an option comes first.
    """

    takes_ids_anywhere = False

    def __init__(self, **about: Any) -> None:
        super().__init__(**about, allow_abbrev=False)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and return what is left over too."""
        if not self.takes_ids_anywhere:
            return super().parse_known_args(args, namespace)
        given = list(args or ())
        before = given.index("--") if "--" in given else len(given)
        # Python's own parser for this may lose the "--", and take an id behind it that begins with "-" for an option.
        ids = [f"{_BEHIND}{each}" for each in given[before + 1 :]]
        self.takes_ids_anywhere = False  # it calls this method again
        try:
            return self.parse_known_intermixed_args([*given[:before], *ids], namespace)
        finally:
            self.takes_ids_anywhere = True


def id_in(argument: str) -> str:
    """Return the id that an argument is.

    Raises:
        SettingsError: it cannot be one.
    """
    return checked_id("ID", argument.removeprefix(_BEHIND))


def age_ms(value: str) -> int:
    """Return a length of time as a command line gives it, such as ``30d``, in ms.

    Raises:
        SettingsError: it is none.
    """
    found = re.fullmatch(r"(\d{1,9}) ?(s|min|h|d|w)", value)
    if found is None:
        raise SettingsError(
            f"expected --older-than to be a number and s, min, h, d or w, such as 30d, got {shown(value)}"
        )
    return int(found[1]) * _SECONDS[found[2]] * 1000
