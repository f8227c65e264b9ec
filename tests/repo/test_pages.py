"""The pages about one subject each: their blocks of Python are type-checked, and run beside a worker.

A block whose first line is ``# name.py`` is a module. All other blocks of a page are one program, which may await,
imports what it needs, and runs from the top to the bottom while a worker serves the tasks. A block of text right below
a block of Python is what that block prints.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from lash_redis import Lash, Worker
from tests.repo.checker import found_in_programs
from tests.repo.tree import ROOT, files, read, shown

# Pages with blocks of Python that are no such program, and the test that runs them.
OTHERS = {
    "docs/arguments.md": "tests/repo/test_arguments_page.py",
    "docs/events.md": "tests/unit/test_pool_logs.py",
    "docs/guide.md": "tests/repo/test_guide.py",
}
PAGES = sorted({shown(path) for path in files(".md", under="docs") if "```python\n" in read(path)} - OTHERS.keys())
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<printed>.*?)^```\n)?", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"# (\w+)\.py\n")
AT_MOST_S = 30  # for one block


class Page:
    """What a page holds: its modules, by name, and the blocks of its program with what each prints."""

    def __init__(self, path: str) -> None:
        self.modules: dict[str, str] = {}
        self.program: list[tuple[str, str | None]] = []
        text = read(ROOT / path)
        assert len(BLOCK.findall(text)) == text.count("```python\n"), f"{path}: a block is not closed"
        for block in BLOCK.finditer(text):
            if named := NAMED.match(block["code"]):
                self.modules[named[1]] = block["code"]
            else:
                self.program.append((block["code"], block["printed"]))

    def write_modules(self, folder: Path) -> None:
        """Write the modules as a reader would."""
        for name, code in self.modules.items():
            (folder / f"{name}.py").write_text(code, encoding="utf-8")

    def as_module(self) -> str:
        """Return the program as a type checker reads it: one function."""
        body = textwrap.indent("".join(code for code, _ in self.program) or "pass\n", "    ")
        return f"async def program() -> None:\n{body}"


def test_every_page_is_typed(tmp_path: Path) -> None:
    """A type checker finds nothing in a page."""
    folders = []
    for path in PAGES:
        page, folder = Page(path), tmp_path / Path(path).stem
        folder.mkdir()
        page.write_modules(folder)
        (folder / "program_of_page.py").write_text(page.as_module(), encoding="utf-8")
        folders.append(folder.name)

    assert folders
    assert found_in_programs(tmp_path, folders) == []


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """Return each page in turn, its modules written where Python finds them."""
    made = Page(request.param)
    made.write_modules(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


async def test_every_block_runs(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever copies the blocks of a page has a program that works, and prints what the page says."""
    (lash,) = [importlib.import_module(module).lash for module in page.modules]
    held = _held(page)
    with lash.use(fakeredis.FakeAsyncRedis()):
        await _run(page, lash, capsys)
    assert _held(page) == held, "a task changed what its module holds, of which each worker process has its own"


def _held(page: Page) -> dict[str, str]:
    """Return the data that the modules of a page hold."""
    return {
        f"{module}.{name}": repr(value)
        for module in page.modules
        for name, value in vars(sys.modules[module]).items()
        if isinstance(value, dict | list | set | int | float | str) and not name.startswith("__")
    }


async def _run(page: Page, lash: Lash, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    queues = sorted({task.declaration.options.queue for task in lash.tasks})
    async with lash:
        worker = Worker(lash.registry, tasks=lash.tasks, queues=queues)
        running = asyncio.create_task(worker.run())
        try:
            for code, printed in page.program:
                capsys.readouterr()
                compiled = compile(code, "a block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                async with asyncio.timeout(AT_MOST_S):
                    ran = eval(compiled, names)  # noqa: S307 - our own page
                    if inspect.isawaitable(ran):
                        await ran
                if printed is not None:
                    assert capsys.readouterr().out == printed
        finally:
            await worker.drain()
            await running
