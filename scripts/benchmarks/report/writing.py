"""Writes the report: the generated parts of a page, between marker comments, and the pictures beside it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import results
from benchmarks.peers.environments import MissingError
from benchmarks.report import charts, earlier, goals, tables
from benchmarks.report.kept import Kept

ROOT = Path(__file__).resolve().parents[3]
PAGE, PICTURES = ROOT / "docs/performance.md", ROOT / "docs/pictures"


def write(kept: Kept, *, into_docs: bool) -> None:
    """Write the report into the documentation, or beside the results; say where."""
    page = PAGE if into_docs else results.FOLDER / "performance.md"
    pictures = PICTURES if into_docs else results.FOLDER / "pictures"
    page.write_text(filled(PAGE.read_text(encoding="utf-8"), kept), encoding="utf-8")
    written = [page]
    try:
        written += charts.draw(kept, pictures)
    except MissingError as error:
        print(f"the pictures are left out: {error}", file=sys.stderr)
    print(f"\nwrote {', '.join(str(each.relative_to(ROOT)) for each in written)}")
    print(f"results: {results.FOLDER.relative_to(ROOT)}")


def filled(page: str, kept: Kept) -> str:
    """Return a page whose generated parts are made anew; what was not measured stays, and the sentences around do."""
    parts: dict[str, Callable[[list[str]], list[str]]] = {
        "goals": lambda lines: earlier.table_with(goals.goals(kept), goals.HEAD, lines),
        "peers": lambda lines: tables.side_by_side(kept) if kept.side else earlier.noted(lines),
        "faults": lambda lines: kept.faults or earlier.noted(lines),
    }
    for name, made in parts.items():
        begin, end = f"<!-- {name}: written by scripts/bench -->", f"<!-- end of {name} -->"
        found = re.findall(f"{re.escape(begin)}\n(.*?){re.escape(end)}", page, re.DOTALL)
        if len(found) != 1:
            raise SystemExit(f"expected one pair of comments for {name} in the page, found {len(found)}")
        page = page.replace(f"{begin}\n{found[0]}{end}", "\n".join([begin, *made(found[0].splitlines()), end]))
    return page
