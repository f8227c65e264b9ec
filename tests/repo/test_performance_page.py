"""The page on what things cost has what ``scripts/bench`` measures."""

from __future__ import annotations

import re
import subprocess

from tests.repo.tree import ROOT, read

PAGE = ROOT / "docs/performance.md"


def test_each_part_of_the_bench_has_a_section_and_the_reverse() -> None:
    """In the order in which they run."""
    listed = subprocess.run(
        ["scripts/bench", "--list"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert re.findall(r"^## (.*)$", read(PAGE), re.MULTILINE) == listed


def test_each_part_is_a_module_that_measures() -> None:
    """And each module that measures is a part."""
    sources = (ROOT / "scripts/benchmarks").glob("*.py")
    modules = {each.stem for each in sources if "async def measure(" in read(each)}

    assert modules == set(re.findall(r"^## (.*)$", read(PAGE), re.MULTILINE))
