"""``lash-redis abandon ID``: permit, durably and by name, that the result stay unknown. A sweep settles it."""

from __future__ import annotations

from typing import Any

from lash_redis.cli.requests import add_request_verb
from lash_redis.operate.requests import abandon


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    help_text = "accept that the result of a process stays unknown"
    add_request_verb(subparsers, "abandon", abandon, help_text=help_text, description=__doc__)
