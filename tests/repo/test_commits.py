"""Lint: a commit's subject is one short line; its body argues."""

from __future__ import annotations

import subprocess

import pytest

from tests.repo.tree import ROOT

MOST = 72


def git(*arguments: str) -> list[str]:
    """Return the lines that git prints; skip the test where the tree is no repository of its own."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("git: none found")
    if ran.returncode != 0:
        pytest.skip(f"no history here: {ran.stderr.strip()}")
    return ran.stdout.splitlines()


def test_subjects_are_short() -> None:
    """At most 72 characters, in every commit after the one that brought this test."""
    brought = git("log", "--format=%H", "--diff-filter=A", "--", "tests/repo/test_commits.py")
    if not brought:
        pytest.skip("not committed yet")

    subjects = git("log", "--format=%h %s", "--no-merges", f"{brought[-1]}..HEAD")

    assert [line for line in subjects if len(line.partition(" ")[2]) > MOST] == []
