"""The call that a submit is, for whoever sends it through redis-py alone."""

from __future__ import annotations

from typing import Any

from lash_redis import Lash
from lash_redis.core.model import ProcessRegistration
from lash_redis.registry.calls.encoded_rows import encode_registration, runs_of
from lash_redis.registry.scripts import function_of, load_all


class RawCall:
    """The register script with the arguments of one registration, and another id each time.

    Args:
        lash: an open one that has submitted before, so that the server has the function.
        registration: the process.
        by: ``FCALL``, as lash-redis sends it, or ``EVALSHA``.
    """

    def __init__(self, lash: Lash, registration: ProcessRegistration, by: str = "FCALL") -> None:
        namespace = lash.registry.target.namespace
        name = function_of("register").name if by == "FCALL" else load_all()["register"].shebang_sha
        args = runs_of([encode_registration(registration, namespace.max_payload_bytes)])
        at = args.index(registration.id)
        self._head = (by, name, 1, namespace.header_key(0), *args[:at])
        self._rest = (*args[at + 1 :], namespace.uuid)

    def of(self, number: int) -> tuple[Any, ...]:
        """Return the call with the id of this number, as long as one that is made at random."""
        return (*self._head, f"p{number:022d}", *self._rest)
