"""Methods made of operations: one line in the class of a registry.

    request_abandon = operation(requests.request_abandon)

The method has the operation's name, docstring and parameters, except the namespace.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from lash_redis.registry.calls.call import Operation
from lash_redis.registry.transport.finishing import finished
from lash_redis.registry.transport.sending import Sender

P = ParamSpec("P")
T = TypeVar("T")


class HasSender(Protocol):
    """A class whose methods are made here."""

    @property
    def sender(self) -> Sender:
        """What sends its calls."""


class OpensFirst(HasSender, Protocol):
    """The same for code without an event loop."""

    def open(self) -> None:
        """Open the namespace, once, whatever thread asks."""


def operation(written: Operation[P, T]) -> Callable[Concatenate[HasSender, P], Coroutine[Any, Any, T]]:
    """Return the coroutine method that opens the namespace and performs an operation in it."""

    @functools.wraps(written)
    async def method(self: HasSender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.sender.perform(written, *args, **kwargs)

    method.__signature__ = _signature(written)  # type: ignore[attr-defined]
    return method


def blocking_operation(written: Operation[P, T]) -> Callable[Concatenate[OpensFirst, P], T]:
    """Return the method that does the same in the calling thread, without an event loop."""

    @functools.wraps(written)
    def method(self: OpensFirst, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if not self.sender.is_open:
            self.open()
        return finished(self.sender.perform(written, *args, **kwargs))

    method.__signature__ = _signature(written)  # type: ignore[attr-defined]
    return method


def _signature(written: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of the method for people to read: type checkers see that of the wrapper."""
    signature = inspect.signature(written)
    _, *parameters = signature.parameters.values()
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    answer = signature.return_annotation.partition("[")[2].removesuffix("]")  # of ``Call[…]`` or ``Steps[…]``
    return signature.replace(parameters=[itself, *parameters], return_annotation=answer)
