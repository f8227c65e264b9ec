"""Make the project's virtual environment: the slow part of scripts/bootstrap, for any Python from 3.11 on.

A stamp in the environment records what it was made from. The stamp is emptied first and written last, so that the next
run sees an environment that a killed run left incomplete, and makes it again. An environment without a stamp was made
by somebody else and stays as it is.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXTRAS = {"run": "embedded,fast", "test": "test", "dev": "dev"}  # each includes the ones before it


def main(root: Path, venv: Path, level: str, project: str) -> None:
    """Install what ``level`` needs into ``venv``, unless another run did so while this one waited for the lock."""
    if level not in EXTRAS:
        raise SystemExit(f"expected one of {', '.join(EXTRAS)}, got {level!r}")
    levels = list(EXTRAS)[: list(EXTRAS).index(level) + 1]
    stamp = venv / "lash-stamp"
    with _one_at_a_time(root) as lock:
        origin, made_from, installed = _read(stamp)
        usable = origin == [_version(venv), f"{root} {venv}"]
        if usable and made_from == project and level in installed:
            return
        say(f"setting up {venv} ({level}) with Python {sys.version.split()[0]}")
        if not usable:
            _create(venv, stamp)
        stamp.write_text("", encoding="utf-8")
        _install(root, venv, EXTRAS[level], lock)
        _write(stamp, [_version(venv), f"{root} {venv}", project, " ".join(levels)])


def say(line: str) -> None:
    """Show a line on standard error: standard output belongs to the command that runs next."""
    print(f"lash-redis: {line}", file=sys.stderr, flush=True)


@contextmanager
def _one_at_a_time(root: Path) -> Iterator[int]:
    with (root / "pyproject.toml").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _read(stamp: Path) -> tuple[list[str], str, list[str]]:
    try:
        version, folders, project, levels = stamp.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return [], "", []
    return [version, folders], project, levels.split()


def _write(stamp: Path, lines: list[str]) -> None:
    whole = stamp.with_suffix(".new")
    whole.write_text("\n".join([*lines, ""]), encoding="utf-8")
    whole.replace(stamp)


def _version(venv: Path) -> str:
    try:
        return subprocess.run([venv / "bin/python", "-V"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _create(venv: Path, stamp: Path) -> None:
    if venv.exists() and any(venv.iterdir()) and not stamp.exists():
        raise SystemExit(f"lash-redis: {venv} was not made by us: remove it, or set $LASH_VENV to another folder")
    has_pip = importlib.util.find_spec("ensurepip") is not None
    if importlib.util.find_spec("venv") is None or not (has_pip or importlib.util.find_spec("pip")):
        name = "python{}.{}".format(*sys.version_info)
        raise SystemExit(
            f"lash-redis: {sys.executable} can make no virtual environment; Debian and Ubuntu have it in {name}-venv"
        )
    venv.mkdir(parents=True, exist_ok=True)
    stamp.write_text("", encoding="utf-8")
    for entry in venv.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != stamp:
            entry.unlink()
    _quietly([sys.executable, "-I", "-m", "venv", *([] if has_pip else ["--without-pip"]), str(venv)])


def _install(root: Path, venv: Path, extras: str, lock: int) -> None:
    python = str(venv / "bin/python")
    pip = [python, "-I", "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode != 0:
        pip = [sys.executable, "-I", "-m", "pip", "--python", python]
    # An older wheel is better than a newer source: it needs no compiler.
    wanted = ["install", "--quiet", "--no-input", "--prefer-binary", "--editable", f".[{extras}]"]
    # pip inherits the lock: if this run is killed, no other run clears the environment while pip works in it.
    _quietly([*pip, *wanted], cwd=root, lock=lock)


def _quietly(command: list[str], cwd: Path | None = None, lock: int | None = None) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0"}
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=() if lock is None else (lock,),
        check=False,
    )
    if ended.returncode != 0:
        raise SystemExit(f"{ended.stdout}\nlash-redis: this failed, as shown above: {' '.join(command)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
