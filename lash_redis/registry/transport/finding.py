"""Who finds a server that a registry is not told of when it is made, and starts it again if it is ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class ServerFinder(ABC):
    """Says where the server is, when that is first asked."""

    @property
    @abstractmethod
    def is_known(self) -> bool:
        """Whether ``find`` returns at once."""

    @abstractmethod
    def find(self) -> Any:
        """Return a URL or a client; block while a server of ours starts.

        Raises:
            SettingsError: nothing says where a server is.
            RegistryUnavailable: a server of ours does not start.
        """

    @abstractmethod
    def revive(self) -> None:
        """Start a server of ours again if it has gone, and block until it answers; leave any other alone.

        Raises:
            LashError: it does not start.
        """
