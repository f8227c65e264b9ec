"""The registry for code without an event loop: the same operations over blocking connections, from any thread.

It offers what such code needs: submit, read, requests, external completion, and renewal by a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lash_redis.core.forks import PerProcess
from lash_redis.registry.calls import (
    alike_rows,
    awaiting,
    bulk,
    forgetting,
    leases,
    pausing,
    reads,
    registration,
    replaying,
    requests,
    schedules,
    serving,
    terminal_facts,
    terms,
)
from lash_redis.registry.calls.call import Operation
from lash_redis.registry.operations import blocking_operation
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.registry.transport.connections import BlockingConnections
from lash_redis.registry.transport.finishing import begun, finished
from lash_redis.registry.transport.sending import Sender

P = ParamSpec("P")
T = TypeVar("T")


class BlockingRegistry:
    """A blocking view of a ``ProcessRegistry``: same namespace, same settings, connections of its own."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self.target = registry.target
        self.connections = BlockingConnections(self.target.address)
        self.sender = Sender(self.target, self.connections)
        self._opening = PerProcess(threading.Lock)

    def open(self) -> None:
        """Check the server and open the namespace, once."""
        if not self.sender.is_open:
            with self._opening.get():
                finished(self.sender.open())

    def close(self) -> None:
        """Close our own connections, what is in use once its call has ended; the next call opens them again."""
        finished(self.sender.aclose())

    def begin(self, written: Operation[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
        """Send the first request of an operation, and return what reads the answer and goes on to its value.

        The calling thread can do something meanwhile. The same thread calls what is returned, once.
        """
        if not self.sender.is_open:
            self.open()
        return begun(self.sender.perform(written, *args, **kwargs))

    register_many = blocking_operation(registration.register_many)
    submit_many = blocking_operation(registration.submit_many)
    submit_alike = blocking_operation(alike_rows.submit_alike)
    submit = blocking_operation(registration.submit)

    get = blocking_operation(reads.get)
    rows = blocking_operation(reads.rows)
    watch = blocking_operation(reads.watch)
    cancel_many = blocking_operation(bulk.cancel_many)
    replay_many = blocking_operation(replaying.replay_many)
    tombstones = blocking_operation(forgetting.tombstones)
    service_of = blocking_operation(serving.service_of)

    declare_schedules = blocking_operation(schedules.declare_schedules)
    all_schedules = blocking_operation(schedules.all_schedules)
    pause_schedule = blocking_operation(schedules.pause_schedule)
    resume_schedule = blocking_operation(schedules.resume_schedule)
    run_schedule = blocking_operation(schedules.run_schedule)
    remove_schedule = blocking_operation(schedules.remove_schedule)
    close_group = blocking_operation(awaiting.close_group)
    members = blocking_operation(awaiting.members)

    complete_unleased = blocking_operation(terminal_facts.complete_unleased)
    request_abandon = blocking_operation(requests.request_abandon)
    request_cancel = blocking_operation(requests.request_cancel)
    resolve = blocking_operation(requests.resolve)
    terms_stored = blocking_operation(terms.terms_stored)
    pause = blocking_operation(pausing.pause)
    resume = blocking_operation(pausing.resume)
    pauses = blocking_operation(pausing.pauses)
    renew_owned = blocking_operation(leases.renew_owned)
