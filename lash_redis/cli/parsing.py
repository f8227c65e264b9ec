"""The parser of a verb's arguments, and how a length of time is given."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, Final

from lash_redis.core.error_text import shown
from lash_redis.core.errors import SettingsError

_SECONDS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}


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
        self.takes_ids_anywhere = False  # it calls this method again
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.takes_ids_anywhere = True


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
