"""Where a project's data and its server's socket lie (rule 10.3).

The data lies in ``.lash-redis/`` of the project, unless ``$LASH_REDIS_DATA`` names another folder. Where there is no
project, no server appears. A socket path has at
most 107 bytes, so that the socket lies elsewhere: in ``$XDG_RUNTIME_DIR``, or in a private folder under the temporary
one.

The socket's name is made from the data's path and the identity of its *server* file: data that was deleted and created
again has another server. Two users of one project may have different environments. So the guardian writes the socket's
folder into the *server* file, and users look there first.
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
from urllib.parse import quote

from lash_redis.core.errors import SettingsError
from lash_redis.embedded.locks import SERVER

MAX_SOCKET_BYTES = 107

_DATA_VARIABLE = "LASH_REDIS_DATA"
_DATA_FOLDER = ".lash-redis"
PROJECT_MARKERS = ("pyproject.toml", ".git", _DATA_FOLDER)
_DISTRIBUTED_TYPES = {"afs", "beegfs", "ceph", "coda", "gfs2", "glusterfs", "lustre", "ocfs2", "orangefs"}
_NETWORK_TYPES = {"9p", "cifs", "fuse", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", *_DISTRIBUTED_TYPES}
_LOCAL_FUSE = "fuse.fuse-overlayfs"  # the root of a rootless container
_PRIVATE = 0o700


def project_folder(start_from: Path) -> Path | None:
    """Return the nearest folder from ``start_from`` up that has a marker of a project, None if there is none."""
    for folder in (start_from, *start_from.parents):
        if any((folder / marker).exists() for marker in PROJECT_MARKERS):
            return folder
    return None


def find_data_folder(start_from: Path | None = None, data: Path | None = None) -> Path | None:
    """Return the absolute path of the data folder: ``data``, else ``$LASH_REDIS_DATA``, else the project's, else None.

    The search for the project starts from ``start_from``, the working folder if None. Symbolic links are resolved, so
    that one folder has one path.
    """
    if data is None and (variable := os.environ.get(_DATA_VARIABLE)):
        data = Path(variable).expanduser()
    if data is None and (project := project_folder((start_from or Path.cwd()).resolve())) is not None:
        data = project / _DATA_FOLDER
    return None if data is None else data.resolve()


def data_folder(start_from: Path | None = None, data: Path | None = None) -> Path:
    """Return what ``find_data_folder`` does.

    Raises:
        SettingsError: there is none.
    """
    found = find_data_folder(start_from, data)
    if found is None:
        raise SettingsError(
            f"expected a server: no URL and no $LASH_REDIS_URL names one, and {no_project(start_from)}, so that there "
            'is no embedded one. Give a URL, as in Lash("redis://localhost:6379/0"), or set $LASH_REDIS_URL to it; '
            f"or make this folder a project: `mkdir {_DATA_FOLDER}`"
        )
    return found


def no_project(start_from: Path | None = None) -> str:
    """Return why a folder, the working folder if None, has no embedded server."""
    return f"{start_from or Path.cwd()} is in no project (no {', '.join(PROJECT_MARKERS)} in it or above it)"


def prepare(data: Path) -> None:
    """Create the data folder if there is none, private to this user and ignored by git.

    A folder that exists stays as it is, and gets the *server* file if it lacks one. An empty ``.lash-redis``, which
    somebody made to mark a project, is one that has yet to be created.

    Raises:
        SettingsError: the folder lies on a network file system, where neither locks nor an append-only file are safe,
            or it cannot be created.
    """
    _refuse_network(data)
    try:
        if not data.is_dir() or (data.name == _DATA_FOLDER and not any(data.iterdir())):
            _create(data)
        (data / SERVER).touch(mode=0o600)
    except OSError as error:
        raise SettingsError(
            f"expected a data folder that this user can create and write, got {data} ({error}); "
            f"set ${_DATA_VARIABLE} to another one"
        ) from error


def is_prepared(data: Path) -> bool:
    """Return whether ``data`` is a data folder that an embedded server has used or may use."""
    return (data / SERVER).exists()


def server_url(data: Path) -> str:
    """Return the URL of the server of ``data``, a prepared folder: ``unix:///….sock``, database 0.

    Raises:
        SettingsError: as for ``socket_path``.
    """
    return f"unix://{quote(os.fspath(socket_path(data)))}"


def socket_path(data: Path) -> Path:
    """Return the path of the socket for the server of ``data``, a prepared folder.

    Raises:
        SettingsError: no folder for sockets is private to this user, every path is longer than 107 bytes, or the data
            folder has gone.
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


def record_socket_folder(data: Path, socket: Path) -> None:
    """Write the socket's folder into the *server* file. Only the holder of its lock may do this."""
    (data / SERVER).write_bytes(os.fsencode(socket.parent))


def filesystem_type(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds ``path``, '' if unknown; ``mounts`` is ``/proc/mounts``."""
    found, depth = "", -1
    for line in mounts.splitlines():
        _, mount_point, kind, *_ = line.split(" ")
        mounted_at = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount_point))
        if path.is_relative_to(mounted_at) and len(mounted_at.parts) >= depth:
            found, depth = kind, len(mounted_at.parts)
    return found


def _create(data: Path) -> None:
    data.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another user has just created it, or it marks a project
        data.mkdir(mode=_PRIVATE)
    data.chmod(_PRIVATE)
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
    recorded = _recorded_folder(data)
    if recorded is not None:
        yield recorded
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_absolute() and _is_private(Path(runtime)):
        yield Path(runtime)
    yield _private_folder(tempfile.gettempdir)
    yield _private_folder(lambda: "/tmp")  # noqa: S108 - the shortest path, and the folder in it is checked


def _recorded_folder(data: Path) -> Path | None:
    try:
        folder = Path(os.fsdecode((data / SERVER).read_bytes()))
    except OSError:
        return None
    return folder if folder.is_absolute() and _is_private(folder) else None


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
