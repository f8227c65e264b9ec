"""``--reload``: a worker process leaves when a file of the user's code changes, and its slot starts another one.

For development. It needs watchfiles, which the extra ``reload`` installs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from lash_redis.core.events import WorkerReloading, WorkerUnavailable
from lash_redis.core.subscribers import emit
from lash_redis.core.timing import wall_ms
from lash_redis.core.trouble import SURVIVED

_QUIET_MS = 200  # an editor writes several files one after the other


async def leave_when_changed(modules: Iterable[str], since_ms: int, leave: Callable[[], object]) -> None:
    """Leave once a file of the user's code has changed; the slot starts another worker process.

    Args:
        modules: what was imported.
        since_ms: when the first of them was about to be read (wall clock, ms).
        leave: begins the drain.
    """
    try:
        emit(WorkerReloading(changed=await until_changed(*watched_for(modules), since_ms)))
    except SURVIVED as error:  # nothing is watched any more, and what runs goes on
        emit(WorkerUnavailable(operation="reload", reason=str(error)))
    else:
        leave()


def watched_for(modules: Iterable[str]) -> tuple[list[Path], list[Path]]:
    """Return what is watched for modules that were imported: the folders of their packages, and single files."""
    packages: dict[Path, None] = {}
    files: dict[Path, None] = {}
    for name in modules:
        module = sys.modules.get(name.partition(".")[0])
        folders, file = getattr(module, "__path__", None), getattr(module, "__file__", None)
        if folders is not None:  # not its file: a package without an __init__.py has none
            packages.update(dict.fromkeys(Path(folder).resolve() for folder in folders))
        elif file is not None:
            files[Path(file).resolve()] = None
    return list(packages), list(files)


async def until_changed(packages: Sequence[Path], files: Sequence[Path], since_ms: int) -> str:
    """Wait until a file of Python code changes, appears or goes, or find one that has since a time; return which."""
    # A file is watched in its folder: an editor that puts another file in its place would end a watch of the old one.
    named = {str(path) for path in files}
    watches = [
        asyncio.ensure_future(_first_change(packages, lambda path: path.endswith(".py"), recursive=True)),
        asyncio.ensure_future(_first_change({path.parent for path in files}, named.__contains__, recursive=False)),
    ]
    try:
        await asyncio.sleep(0)  # both watch from here on
        if changed := await asyncio.to_thread(changed_since, packages, files, since_ms):
            return changed
        done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for watch in watches:
            watch.cancel()


def changed_since(packages: Iterable[Path], files: Iterable[Path], since_ms: int) -> str:
    """Return a file that was imported from there and was changed or has gone since a time; empty if there is none.

    Whoever saves while the code is imported would else see the old code run until the next change.
    """
    folders, found = tuple(packages), list(files)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if folders and isinstance(file, str) and any(map(Path(file).resolve().is_relative_to, folders)):
            found.append(Path(file).resolve())
    return next((str(each) for each in found if _has_changed(each, since_ms)), "")


def _has_changed(file: Path, since_ms: int) -> bool:
    try:
        changed_ms = file.stat().st_mtime_ns // 1_000_000
    except OSError:
        return file.parent.is_dir()  # else it was imported from an archive
    return since_ms <= changed_ms <= wall_ms()  # a time to come would let it reload for ever


async def _first_change(paths: Collection[Path], is_watched: Callable[[str], bool], *, recursive: bool) -> str:
    from watchfiles import PythonFilter, awatch  # noqa: PLC0415 - an extra that only development needs

    if not paths:
        await asyncio.get_running_loop().create_future()  # nothing to watch here: the other watch decides
    async for changes in awatch(*paths, watch_filter=PythonFilter(), step=_QUIET_MS, recursive=recursive):
        if changed := sorted(path for _, path in changes if is_watched(path)):
            return changed[0]
    return ""
