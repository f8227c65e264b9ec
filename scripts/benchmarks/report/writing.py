"""Writes the report: the generated parts of a page, between marker comments, and the pictures beside it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from benchmarks import results
from benchmarks.peers.environments import MissingError
from benchmarks.report import charts, goals, tables
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
    """Return a page whose generated parts are made anew; the sentences around them stay."""
    parts = (("goals", goals.table(kept)), ("peers", tables.side_by_side(kept)), ("faults", kept.faults))
    for name, lines in parts:
        begin, end = f"<!-- {name}: written by scripts/bench -->", f"<!-- end of {name} -->"
        between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text = "\n".join([begin, *lines, end])
        page, count = between.subn(lambda _, text=text: text, page)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"expected one pair of comments for {name} in the page, found {count}")
    return page
