"""The Lua files of the package: the scripts, and the fragments in their folders."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

LUA = Path(str(files("lash_redis.registry") / "lua"))


def sources() -> dict[str, str]:
    """Return the text of each file by its name, that of a fragment with its folders: ``include/keys/look``."""
    found = sorted(LUA.rglob("*.lua"))
    return {each.relative_to(LUA).as_posix().removesuffix(".lua"): each.read_text("utf-8") for each in found}


def fragments() -> list[str]:
    """Return the names of all fragments."""
    return [name for name in sources() if name.startswith("include/")]
