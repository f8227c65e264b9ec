"""What the patient connections of either kind share: what they owe, and how much has yet to be sent.

redis-py bounds a whole answer (on an event loop) and a whole request (everywhere) by its time-out. On ours a call goes
on as long as bytes move in either direction, so that a time-out counts silence (rule 8.11). A connection on which an
answer is owed, since its call was interrupted, is closed when it comes back to its pool.
"""

from __future__ import annotations

import sys
from typing import Any


class Owing:
    """A connection that knows how many answers it is owed. Either kind counts them as it sends and reads."""

    owed = 0
    _parser: Any
    _reader: Any
    _writer: Any
    _sock: Any


def unsent_bytes(sock: Any) -> int:
    """Return how many bytes the kernel has yet to send, or to see confirmed; 0 where it does not say."""
    try:
        import fcntl
        import termios

        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except (ImportError, OSError, AttributeError, ValueError):
        return 0  # a platform without it, or a socket that is closed
    return int.from_bytes(answer, sys.byteorder)
