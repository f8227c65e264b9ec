"""Structs that people make by name: an argument that there is not is refused with those that there are."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from lash_redis.core.errors import SettingsError
from lash_redis.core.near_names import did_you_mean

_UNEXPECTED: Final = re.compile(r"Unexpected keyword argument '(?P<name>.*)'")


class ByName(type(msgspec.Struct)):  # type: ignore[misc]
    """The metaclass of such structs."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make one.

        Raises:
            SettingsError: an argument has a name that there is not, or is given by position.
        """
        try:
            return super().__call__(*args, **kwargs)
        except TypeError as error:
            names = cls.__struct_fields__
            found = _UNEXPECTED.fullmatch(str(error))
            if found is None and not args:
                raise
            got = f"{found['name']!r}{did_you_mean(found['name'], names)}" if found else f"{args[0]!r} without a name"
            raise SettingsError(
                f"expected the arguments of {cls.__name__} to be among {', '.join(names)}, got {got}"
            ) from None
