"""How the machine of an owner is named, so that a sweep finds those whose death it could prove. Pure."""

from __future__ import annotations

import functools
from base64 import urlsafe_b64encode
from hashlib import sha256

from lash_redis.core.liveness import LeaseOwner, LocalProcess


def host_digest(owner: LeaseOwner) -> str:
    """Return the short name of the machine on which an owner's death can be proven; empty if it can be nowhere.

    It finds owners and proves nothing: a proof compares the texts in full (rule 2.2).
    """
    liveness = owner.liveness
    return _digest(liveness.host_id, liveness.boot_id) if isinstance(liveness, LocalProcess) else ""


@functools.lru_cache(maxsize=64)
def _digest(host_id: str, boot_id: str) -> str:
    return urlsafe_b64encode(sha256(f"{host_id}\0{boot_id}".encode()).digest()[:12]).decode()
