"""The pictures: what each shows, handed to a program with matplotlib in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import SCRIPTS, MissingError, made
from benchmarks.report.kept import Kept
from benchmarks.results import Values, median

PACKAGES = ("matplotlib==3.11.2", "numpy==2.4.6", "fonttools==4.68.0", "pillow==13.0.0")


def draw(kept: Kept, folder: Path) -> list[Path]:
    """Draw all pictures of which something was measured; return their paths.

    Raises:
        MissingError: matplotlib cannot be installed here, or does not run.
    """
    pictures = [*specifications(kept)]
    return drawn(pictures, folder) if pictures else []


def drawn(pictures: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Draw these pictures; return their paths.

    Raises:
        MissingError: matplotlib cannot be installed here, or does not run.
    """
    python = made("charts", PACKAGES) / "bin/python"
    folder.mkdir(parents=True, exist_ok=True)
    ran = subprocess.run(
        [str(python), "-m", "benchmarks.report.drawing", str(folder.absolute())],
        cwd=SCRIPTS,
        input=json.dumps(pictures),
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise MissingError(f"matplotlib failed: {ran.stderr.strip().splitlines()[-1:]}")
    return [folder / f"{each['name']}.svg" for each in pictures]


def specifications(kept: Kept) -> Iterator[dict[str, Any]]:
    """Yield what each picture shows: plain data, from which the same picture is always drawn."""
    server = kept.main
    name = kept.servers.get(server, "")
    yield from _bars(
        "rates", f"No-ops drained in a second, one worker process ({name})", kept, [("drain", "rate", "")], is_log=True
    )
    yield from _bars(
        "cpu",
        f"CPU for each drained no-op, µs ({name})",
        kept,
        [("drain", "server_us", "server"), ("drain", "worker_us", "worker")],
        is_stacked=True,
    )
    yield from _bars(
        "memory",
        f"Bytes of server memory for each job ({name})",
        kept,
        [("memory", "queued_bytes", "queued"), ("memory", "ended_bytes", "ended")],
        is_log=True,
    )
    curves = {peer: kept.side.get("latencies", {}).get(peer) for peer in kept.peers}
    if any(curves.values()):
        yield {
            "name": "latency",
            "kind": "curves",
            "title": f"From a submit to its outcome, idle worker ({name})",
            "curves": [[peer, _short(curve)] for peer, curve in curves.items() if curve],
        }
    yield from _recovery(kept)


def _recovery(kept: Kept) -> Iterator[dict[str, Any]]:
    """Yield after how long the work of a killed worker ran again; a row that never did has no bar, but a word."""
    rows = []
    for name in kept.named("faults", "|default|again_s"):
        found = [_spread(kept.values("faults", f"{name}|{settings}|again_s")) for settings in ("default", "reliable")]
        if "owner-bound" not in name:  # whose work never runs again, as it shall not
            rows.append((name, found))
    if rows:
        title = "Seconds from SIGKILL of a worker, or of its child, until its work runs again"
        labels = ["default settings", "most reliable ones"]
        yield _picture("recovery", title, rows, labels, is_log=True)


def _bars(
    name: str, title: str, kept: Kept, figures: list[tuple[str, str, str]], **how: bool
) -> Iterator[dict[str, Any]]:
    rows = []
    for peer in kept.peers:
        spreads = [_spread(kept.of(kept.main, peer, case, what)) for case, what, _ in figures]
        if all(spreads):
            rows.append((peer, spreads))
    if rows:
        yield _picture(name, title, rows, [label for _, _, label in figures], **how)


def _picture(name: str, title: str, rows: list[Any], labels: list[str], **how: bool) -> dict[str, Any]:
    return {"name": name, "kind": "bars", "title": title, "rows": rows, "labels": labels, **how}


def _spread(values: Values) -> list[float]:
    """Return the median, the least and the largest; nothing of what was not measured."""
    known = [each for each in values if each is not None]
    middle = median(known)
    return [] if middle is None else [_digits(each) for each in (middle, min(known), max(known))]


def _short(values: list[float]) -> list[float]:
    return [_digits(each) for each in values]


def _digits(value: float) -> float:
    """Return a value with the digits that a picture can show."""
    return float(f"{value:.4g}")
