"""Lint: docs/rules.md is what code cites, and each rule names the tests that hold it."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.repo.tree import ROOT, files, read, shown

PAGE = read(ROOT / "docs/rules.md")
# Each rule's text, by its chapter and number.
RULES = {
    (int(chapter), int(number)): text
    for chapter, number, text in re.findall(r"^### (\d+)\.(\d+) (.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
CITATION = re.compile(r"\brules? \d+\.\d+(?:(?:, and|,| and| to) \d+\.\d+)*", re.IGNORECASE)
# Written so that the pattern does not match itself.
OUTSIDE = re.compile(r"desig[n], sections?\b|reliabilit[y] notes", re.IGNORECASE)


def one_line(path: Path) -> str:
    """Return the text of a file without its line ends, nor the marks with which a comment begins anew."""
    return re.sub(r"\s*\n\s*(?:#|--|\*|//)?\s*", " ", read(path))


def name_of(rule: tuple[int, int]) -> str:
    """Return how a rule is cited."""
    return f"{rule[0]}.{rule[1]}"


def named_in(text: str) -> list[str]:
    """Return the names on the last line of a rule."""
    last = text.rstrip().rpartition("\n\n")[2]
    return re.findall(r"`(test_\w+)`", last) if last.startswith("*Tests:* ") else []


@functools.cache
def functions() -> frozenset[str]:
    """Return the name of every test function."""
    return frozenset(
        node.name
        for path in files(".py", under="tests")
        for node in ast.parse(read(path)).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    )


def test_rules_are_numbered_without_gaps() -> None:
    """Chapters and rules count from one, in the order in which they stand."""
    chapters = [int(number) for number in re.findall(r"^## (\d+) ", PAGE, re.MULTILINE)]
    found = re.findall(r"^### (\d+)\.(\d+) ", PAGE, re.MULTILINE)
    headings = [(int(chapter), int(number)) for chapter, number in found]
    rules_in = Counter(chapter for chapter, _ in headings)

    assert chapters == list(range(1, len(chapters) + 1))
    assert headings == [(chapter, number) for chapter in chapters for number in range(1, rules_in[chapter] + 1)]
    assert sorted(rules_in) == chapters


def test_every_rule_has_a_reason() -> None:
    """What never bends says why."""
    assert [name_of(rule) for rule, text in RULES.items() if "\n*Why:* " not in text] == []


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_every_rule_names_tests_that_exist(rule: tuple[int, int]) -> None:
    """A reader finds what holds the rule, and a test that is renamed or deleted is missed here."""
    named = named_in(RULES[rule])

    assert named, "its last line names no test"
    assert len(set(named)) == len(named)
    assert set(named) - functions() == set()


def test_every_cited_rule_exists() -> None:
    """Code, tests, scripts and pages cite rules that a reader can look up."""
    cited = {
        (shown(path), number)
        for path in files()
        for citation in CITATION.finditer(one_line(path))
        for number in re.findall(r"\d+\.\d+", citation[0])
    }

    assert {number for _, number in cited}, "nobody cites any rule: is the pattern still right?"
    assert [each for each in sorted(cited) if each[1] not in map(name_of, RULES)] == []


def test_no_text_cites_what_is_not_in_the_repository() -> None:
    """A reason that nobody can look up is none: a rule of ours is cited instead, or the reason stands in place."""
    assert [shown(path) for path in files() if OUTSIDE.search(one_line(path))] == []
