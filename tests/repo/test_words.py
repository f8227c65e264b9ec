"""Lint: words that do not belong into the tree."""

from __future__ import annotations

import re

import pytest

from tests.repo.tree import files, read, shown

# Written so that no pattern matches itself.
BANNED = {
    "a path of one machine": r"/(?:work|farm)/|/ro[o]t/|/bash_[j]obs|/Use[r]s/|/home/(?!lash)[a-z]",
    "the host of a package index": r"https?://[^\s\"'>)]*(?:pyp[i]|pythonhoste[d]|npmj[s]|registr[y]|debian\.or[g])",
}
VAGUE = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}


@pytest.mark.parametrize("what", BANNED)
def test_no_file_names_what_only_one_machine_has(what: str) -> None:
    """The tree works wherever it is put, so no file names a machine's paths or a package index."""
    pattern = re.compile(BANNED[what])

    found = [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(read(path).splitlines(), 1)
        if pattern.search(line)
    ]

    assert found == []


def test_every_module_is_named_after_what_it_holds() -> None:
    """A name like *utils* says where something was put, not what it is."""
    vague = [shown(path) for path in files(".py", ".lua", under="lash_redis") if path.stem.strip("_") in VAGUE]

    assert vague == []
