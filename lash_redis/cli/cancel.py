"""``lash-redis cancel ID``: record a wish that the work stop; what nobody holds and nobody started ends at once."""

from __future__ import annotations

from typing import Any

from lash_redis.cli.requests import add_request_verb
from lash_redis.operate.requests import cancel


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    help_text = "ask that the work of a process stop"
    add_request_verb(subparsers, "cancel", cancel, help_text=help_text, description=__doc__)
