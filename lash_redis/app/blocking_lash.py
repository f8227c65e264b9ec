"""``Lash`` for code without an event loop."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from lash_redis.app.groups import BlockingGroupControls
from lash_redis.app.many_controls import BlockingManyControls
from lash_redis.app.process import AppContext, BlockingProcess
from lash_redis.app.queue_controls import BlockingQueueControls
from lash_redis.app.schedules import BlockingSchedules
from lash_redis.app.several import BlockingSeveralControls
from lash_redis.core.checks import checked_id, checked_text
from lash_redis.core.errors import PayloadError
from lash_redis.core.model import ExternalInput, ExternalOwner, ProcessRecord, ProcessRegistration, RecoveryDisposition
from lash_redis.core.outcomes import Outcome
from lash_redis.core.struct_checks import checked_kind
from lash_redis.tasks.payload import InvalidValue, plain_value


class BlockingLash(BlockingQueueControls, BlockingManyControls, BlockingGroupControls, BlockingSeveralControls):
    """``Lash`` for code without an event loop: the same names, each call blocks its thread, which may be any.

    The handles that it gives are blocking ones. Where an event loop runs, each call but ``process`` and ``close``
    raises a ``SettingsError``.
    """

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._sessions = context.sessions
        self.schedules = BlockingSchedules(context)

    def process(self, process_id: str) -> BlockingProcess:
        """Do what ``Lash.process`` does."""
        return BlockingProcess(self._context, checked_id("process_id", process_id), known=False)

    def open(self) -> None:
        """Do what ``Lash.open`` does."""
        registry = self._sessions.blocking().registry
        registry.open()
        registry.terms_stored(self._context.terms)

    def expect(
        self, process_id: str, grantee: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> BlockingProcess:
        """Do what ``Lash.expect`` does."""
        registration = external_registration(process_id, grantee, metadata)
        self._sessions.blocking().registry.register_many([registration])
        return BlockingProcess(self._context, process_id, known=True)

    def complete_external(self, process_id: str, outcome: Outcome, authority: ExternalOwner) -> ProcessRecord:
        """Do what ``Lash.complete_external`` does."""
        return self._sessions.blocking().registry.complete_unleased(process_id, outcome, authority)

    def close(self) -> None:
        """Close what was opened for ``blocking``; the next use opens it again.

        A wait of another thread ends with an error. Within ``with lash.blocking``, in whatever thread, it closes
        nothing: the last block to end does.
        """
        self._sessions.close()

    def __enter__(self) -> Self:
        self._sessions.join_blocking()
        try:
            self.open()
        except BaseException:
            self._sessions.part_blocking()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sessions.part_blocking()


def external_registration(
    process_id: str, grantee: str | None, metadata: Mapping[str, Any] | None
) -> ProcessRegistration:
    """Return the registration of externally owned work.

    Raises:
        SettingsError: the id, the grantee or the metadata is of another kind than is allowed.
        PayloadError: no payload can hold the metadata.
    """
    if grantee is not None:
        checked_text("grantee", grantee, 256)
    try:
        plain = plain_value(dict(checked_kind("metadata", {} if metadata is None else metadata, Mapping)))
    except InvalidValue as invalid:
        raise PayloadError(f"metadata{invalid.where}: {invalid.why}") from invalid.__cause__
    return ProcessRegistration(
        process_id, ExternalInput(plain), RecoveryDisposition.EXTERNALLY_OWNED, granted_to=grantee
    )
