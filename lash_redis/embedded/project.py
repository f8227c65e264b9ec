"""Where a project's data and its server's socket lie (design, section 7).

The data lies in ``.lash-redis/`` of the project, unless ``$LASH_REDIS_DATA`` says otherwise. The socket lies elsewhere,
because its path may have no more than 107 bytes: in ``$XDG_RUNTIME_DIR``, or in a private folder under the temporary
one, under a name made from the data's path and the identity of its *server* file (data that was deleted and made anew
is other data, and its server another). Two users of one project may have different environments, so the guardian notes
the folder it chose in the *server* file, and that note comes first.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from lash_redis.core.errors import SettingsError
from lash_redis.embedded.locks import SERVER

MAX_SOCKET_BYTES = 107

_DATA_VARIABLE = "LASH_REDIS_DATA"
_PROJECT_MARKS = ("pyproject.toml", ".git")
_DISTRIBUTED_TYPES = {"afs", "beegfs", "ceph", "coda", "gfs2", "glusterfs", "lustre", "ocfs2", "orangefs"}
_NETWORK_TYPES = {"9p", "cifs", "fuse", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", *_DISTRIBUTED_TYPES}
_LOCAL_FUSE = "fuse.fuse-overlayfs"  # the root of a rootless container
_PRIVATE = 0o700


def project_folder(start_from: Path) -> Path:
    """Return the nearest ancestor with ``pyproject.toml`` or ``.git``, the folder itself included, else the folder."""
    for folder in (start_from, *start_from.parents):
        if any((folder / mark).exists() for mark in _PROJECT_MARKS):
            return folder
    return start_from


def data_folder(start_from: Path | None = None, data: Path | None = None) -> Path:
    """Return the absolute path of the data folder: ``data``, else ``$LASH_REDIS_DATA``, else the project's.

    The project is looked for from ``start_from``, the working folder if None. Symbolic links are followed, so that
    everybody means the same folder by the same text.
    """
    if data is None and (told := os.environ.get(_DATA_VARIABLE)):
        data = Path(told).expanduser()
    if data is None:
        data = project_folder((start_from or Path.cwd()).resolve()) / ".lash-redis"
    return data.resolve()


def prepare(data: Path) -> None:
    """Create the data folder if there is none, for this user alone and hidden from git.

    A folder that was there already is taken as it is, and gets the *server* file if it lacks it.

    Raises:
        SettingsError: it lies on a network file system, where neither locks nor an append-only file are safe, or it
            cannot be created.
    """
    _refuse_network(data)
    try:
        if not data.is_dir():
            _create(data)
        (data / SERVER).touch(mode=0o600)
    except OSError as error:
        raise SettingsError(
            f"expected a data folder that this user can create and write, got {data} ({error}); "
            f"set ${_DATA_VARIABLE} to another one"
        ) from error


def socket_path(data: Path) -> Path:
    """Return the path of the socket at which the server of ``data``, a prepared folder, listens or would.

    Raises:
        SettingsError: no folder for sockets is private to this user, or each makes the path longer than 107 bytes; or
            the data folder has gone.
    """
    try:
        file = (data / SERVER).stat()
    except OSError as error:
        raise SettingsError(f"expected the embedded server's data in {data}, but it has gone ({error})") from error
    identity = b"%s:%d:%d" % (os.fsencode(data), file.st_dev, file.st_ino)
    name = f"lash-redis-{hashlib.sha256(identity).hexdigest()[:16]}.sock"
    tried = []
    for folder in _socket_folders(data):
        path = folder / name
        if len(os.fsencode(path)) <= MAX_SOCKET_BYTES:
            return path
        tried.append(path)
    raise SettingsError(
        f"expected a socket path of at most {MAX_SOCKET_BYTES} bytes, got {', '.join(map(str, tried))}; "
        "set $XDG_RUNTIME_DIR or $TMPDIR to a folder with a shorter path"
    )


def note_socket(data: Path, socket: Path) -> None:
    """Write into the *server* file in which folder its holder's server listens. For the holder only."""
    (data / SERVER).write_bytes(os.fsencode(socket.parent))


def filesystem_type(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds ``path``, by the text of ``/proc/mounts`` ('' if it says none)."""
    found, depth = "", -1
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        mounted_at = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place))
        if path.is_relative_to(mounted_at) and len(mounted_at.parts) >= depth:
            found, depth = kind, len(mounted_at.parts)
    return found


def _create(data: Path) -> None:
    data.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # unless it is a file, another who starts now has created it
        data.mkdir(mode=_PRIVATE)
        (data / ".gitignore").write_text("*\n")


def _refuse_network(data: Path) -> None:
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    kind = filesystem_type(data, mounts)
    if kind in _NETWORK_TYPES or (kind.startswith("fuse.") and kind != _LOCAL_FUSE):
        raise SettingsError(
            f"expected a data folder on a local disk, got {data}, which is on a network file system ({kind}); "
            f"set ${_DATA_VARIABLE} to a local folder, or $LASH_REDIS_URL to a Redis server"
        )


def _socket_folders(data: Path) -> Iterator[Path]:
    noted = _noted_folder(data)
    if noted is not None:
        yield noted
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_absolute() and _is_private(Path(runtime)):
        yield Path(runtime)
    yield _private_folder(tempfile.gettempdir)
    yield _private_folder(lambda: "/tmp")  # noqa: S108 - the shortest there is, and the folder in it is checked


def _noted_folder(data: Path) -> Path | None:
    try:
        noted = Path(os.fsdecode((data / SERVER).read_bytes()))
    except OSError:
        return None
    return noted if noted.is_absolute() and _is_private(noted) else None


def _private_folder(temporary: Callable[[], str]) -> Path:
    try:
        folder = Path(temporary(), f"lash-redis-{os.getuid()}")
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"expected to create a folder for sockets, got {error}") from error
    if not _is_private(folder):
        raise SettingsError(
            f"expected {folder} to be a folder of this user's own with mode 700, got another's or a wider mode"
        )
    return folder


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    is_folder = stat.S_ISDIR(found.st_mode)
    return is_folder and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
