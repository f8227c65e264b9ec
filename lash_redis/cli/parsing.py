"""The parser of a verb's arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


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
