"""Lint: what the documents and the deployment files show could be used as it stands."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from tests.repo.tree import files, read, shown

PAGES = list(files(".md"))
DEPLOYMENTS = list(files(".yaml", ".yml", under="deploy"))


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_python_block_compiles(page: Path) -> None:
    """Whoever copies a block of Python from a page gets something that Python reads."""
    for block in re.finditer(r"^```python\n(.*?)^```", read(page), re.DOTALL | re.MULTILINE):
        compile(block[1], shown(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_link_into_the_tree_leads_somewhere(page: Path) -> None:
    """A relative link names a file that is there."""
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", read(page))

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=shown)
def test_every_deployment_file_parses(deployment: Path) -> None:
    """A compose file or manifest is YAML with something in it."""
    documents = list(yaml.safe_load_all(read(deployment)))

    assert documents
    assert all(isinstance(document, dict) for document in documents)
