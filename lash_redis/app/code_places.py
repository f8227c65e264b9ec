"""Where in the code something is declared, so that code which runs again is told from a second declaration."""

from __future__ import annotations

import sys
from types import CodeType
from typing import NamedTuple


class CodePlace(NamedTuple):
    """Where in the code something is declared."""

    module: str
    code: CodeType
    line: int

    @property
    def location(self) -> str:
        """As errors name it: ``file:line``."""
        return f"{self.code.co_filename}:{self.line}"

    def is_again(self, other: CodePlace) -> bool:
        """Say whether the other one is this very line, or what became of it in code that was compiled anew.

        That is a module that was edited and reloaded, or a cell of a notebook, whose file has another name each time.
        """
        if other.code is self.code:
            return other.line == self.line
        return (other.module, other.code.co_qualname) == (self.module, self.code.co_qualname)


def caller() -> CodePlace:
    """Return where the caller of the caller is."""
    frame = sys._getframe(2)  # noqa: SLF001 - the one way to know a place in the code
    return CodePlace(str(frame.f_globals.get("__name__")), frame.f_code, frame.f_lineno)
