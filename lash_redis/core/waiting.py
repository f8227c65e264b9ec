"""How a registration may wait for others, or belong to a group. Pure."""

from __future__ import annotations

from lash_redis.core.checks import checked_bool, checked_id, refused
from lash_redis.core.options import SubmitOptions


def check_waiting(options: SubmitOptions, member_of: object, *, opens_group: bool) -> None:
    """Check what a registration waits for, and whether it says what becomes of it.

    Raises:
        SettingsError: ``if_failed`` is missing, or says something of what waits for nothing; or an option is given that
            has no meaning in a group.
    """
    checked_bool("opens_group", opens_group)
    if member_of is not None:
        checked_id("member_of", member_of)
    waits = bool(options.after) or opens_group
    if waits and options.if_failed is None:
        allowed = "'cancel' (it is, if one that it waits for does not complete) or 'run' (it runs all the same)"
        raise refused("if_failed", allowed, None, ", which has no default")
    if not waits and options.if_failed is not None:
        advice = ": it waits for nothing. Name what it waits for with after=[...], or continue a group with it"
        raise refused("if_failed", "left out", options.if_failed, advice)
    if options.unique is not None and (opens_group or member_of is not None):
        advice = ": give it a process_id, since another process would stand for a unique one"
        raise refused("unique", "left out in a group", options.unique, advice)
    if options.after and opens_group:
        raise refused("after", "left out: a group waits for its members", options.after)
