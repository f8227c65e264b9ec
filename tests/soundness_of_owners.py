"""Whether what a partition knows of owners is sound: each under its digest, listed by its machine, to be forgotten."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import msgspec


def bad_owners(named: Callable[[str], dict[str, Any]], index: Callable[[str], dict[str, Any]]) -> Iterator[str]:
    """Yield every contradiction: owners that are somebody else, are not found, are unknown or would never go."""
    owners, machines = index("owners"), defaultdict[str, set[str]](set)
    for digest, data in owners.items():
        machine, _, stored = data.partition(b" ")
        if machine:
            machines[machine.decode()].add(digest)
        owner = msgspec.msgpack.decode(stored)
        name = f"{owner['owner_id']}\0{owner['incarnation_id']}".encode()
        if urlsafe_b64encode(sha256(name).digest()[:12]).decode() != digest:
            yield f"owner {digest} is {owner}"
    if dead := index("dead"):
        machines["-"] = {*dead}
    listed = {machine: {*digests} for machine, digests in named("on:").items()}
    if listed != machines:
        yield f"the owners of machines are {dict(machines)}, and listed as {listed}"
    if unknown := named("of:").keys() - owners.keys():
        yield f"owners with unsettled rows are forgotten: {unknown}"
    for each in ("owners", "claims", "dead"):
        if unseen := index(each).keys() - index("seen").keys():
            yield f"{each} has {unseen}, which nothing would ever forget"
