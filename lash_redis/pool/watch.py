"""Services of a supervisor that are never missing: one that ends is told of and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from lash_redis.core.errors import LashError
from lash_redis.core.events import PoolFault
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import backoff, boottime_ms, is_cancelled, jittered, sleep
from lash_redis.core.trouble import Trouble, pool_fault

_FIRST_S = 0.1
_LONGEST_S = 2.0
_LIVED_MS = 5_000


async def keep_running(name: str, service: Callable[[], Coroutine[Any, Any, object]]) -> NoReturn:
    """Run a service, and run it again after a while whenever it ends, whatever ended it. Ends by cancellation.

    Args:
        name: of the service, for the event that tells of its end.
        service: makes it anew.
    """
    in_a_row = 0
    while True:
        began_at_ms = boottime_ms()
        try:
            await service()
            reason = "it ended"
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            reason = "something cancelled it"
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else does the work of this service
            reason = described(error)
        emit(PoolFault(part=name, reason=reason))
        in_a_row = 1 if boottime_ms() - began_at_ms >= _LIVED_MS else in_a_row + 1
        await sleep(jittered(backoff(in_a_row, _FIRST_S, _LONGEST_S), 0.1))


def tell_of_failure(operation: str, error: Exception) -> None:
    """Tell of something that is not tried again: that the server did not do it, or of a fault."""
    Trouble(operation, fault=pool_fault).met(error)


def described(error: BaseException) -> str:
    """Return an error in one line: an error of ours by its message, another by its kind too."""
    text = str(error) if isinstance(error, LashError) else f"{type(error).__name__}: {error}".removesuffix(": ")
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
