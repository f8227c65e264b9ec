"""The environment of each peer: a virtual one of Python or a folder of npm, made once and kept.

They lie in ``build/peers/MODULE``, or in ``$LASH_BENCH_PEERS/MODULE``. A file ``made-from`` says of which packages one
was made, and is written last, so that one that was broken off, or is of other versions, is made again.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.table import Peer

SCRIPTS = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("LASH_BENCH_PEERS") or SCRIPTS.parent / "build/peers")


class MissingError(Exception):
    """A peer cannot run on this machine; the text says why."""


def command(peer: Peer, *arguments: str) -> list[str]:
    """Return the command line that runs a peer, whose environment is made if it is not there.

    Raises:
        MissingError: it cannot be made here.
    """
    if peer.packages is None:
        return [sys.executable, "-m", f"benchmarks.peers.{peer.module}", *arguments]
    folder = made(peer.module.removesuffix(".mjs"), peer.packages, is_node=peer.is_node)
    if peer.is_node:
        # Node.js looks for packages beside the program's own file.
        for program in Path(__file__).parent.glob("*.mjs"):
            shutil.copyfile(program, folder / program.name)
        return ["node", str(folder / peer.module), *arguments]
    return [str(folder / "bin/python"), "-m", f"benchmarks.peers.{peer.module}", *arguments]


def made(name: str, packages: Sequence[str], *, is_node: bool = False) -> Path:
    """Return the folder of an environment that has these packages.

    Raises:
        MissingError: it cannot be made here.
    """
    folder = FOLDER / name
    stamp, wanted = folder / "made-from", json.dumps([*packages])
    with _one_at_a_time(name):
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return folder
        print(f"making the environment of {name}: {' '.join(packages)}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if is_node:
            _make_npm(folder, packages)
        else:
            _make_venv(folder, packages)
        stamp.write_text(wanted, encoding="utf-8")
    return folder


def _make_venv(folder: Path, packages: Sequence[str]) -> None:
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input", "--prefer-binary", *packages])


def _make_npm(folder: Path, packages: Sequence[str]) -> None:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise MissingError(f"there is no {program} on this machine")
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
    _run(["npm", "install", "--silent", "--no-audit", "--no-fund", *packages], cwd=folder)


def _run(line: list[str], cwd: Path | None = None) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment.pop("PYTHONPATH", None)
    ended = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).strip().splitlines()
        raise MissingError(f"its environment cannot be made: {said[-1] if said else f'exit {ended.returncode}'}")


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
