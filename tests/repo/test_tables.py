"""Lint: tables in the documents that say what the code says."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
import pytest

from lash_redis import Lash, Task
from lash_redis.core.events import EVENTS
from lash_redis.core.fields import Field
from lash_redis.core.options import OPTIONS, SUBMIT_OPTIONS, WORDS
from lash_redis.core.places import PLACES
from lash_redis.core.settings import Setting
from lash_redis.core.verdict import TABLE, Action, Verdict
from lash_redis.pool.settings import POOL_SETTINGS
from lash_redis.registry.transport.urls import URL_OPTIONS
from lash_redis.tasks.limits import ChosenTaskOptions
from lash_redis.worker.settings import WORKER_SETTINGS
from tests.repo.tree import ROOT, files, read, shown

GLOSSARY_HEADER = "| word | meaning | not to be confused with |"
LASH_HEADER = "| setting | default | allowed | meaning |"
DONE = {
    Action.LEAVE: "leave",
    Action.UNCERTAIN: "leave: *uncertain*",
    Action.REQUEUE: "back into its lane",
    Action.CANCEL: "`cancelled`",
}


def rows(page: str, header: str, *, after: str = "# ") -> list[list[str]]:
    """Return the cells of the table that has this header, the first one behind the line that begins so."""
    lines = iter(read(ROOT / page).splitlines())
    assert any(line.startswith(after) for line in lines), f"{page} has no line {after}"
    assert any(line == header for line in lines), f"{page} has no table {header}"
    next(lines)
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return table


def done(verdict: Verdict) -> str:
    """Return what a verdict has done, as the page says it."""
    if verdict.action is not Action.ABANDON:
        return DONE[verdict.action] + (f", reason `{verdict.reason}`" if verdict.reason else "")
    assert verdict.writer is not None
    owner = {"nobody": "nobody", "starter": "the starter", "last_holder": "the last holder"}[verdict.owner.value]
    return f"`abandoned`, writer `{verdict.writer.value}`, owner: {owner}"


def test_the_page_of_states_has_the_table_of_the_verdict() -> None:
    """Each line of the page says what the function does, and in its words why."""
    written = [
        (number, action, because)
        for number, _facts, action, because in rows("docs/states.md", "| # | facts | what is done | because |")
    ]

    assert written == [(str(verdict.line), done(verdict), verdict.text) for _, verdict in TABLE]


def test_the_page_of_events_lists_the_events() -> None:
    """Every event stands there with its level, its fields and its meaning, and no other."""
    expected = [
        [f"`{name}`", logging.getLevelName(kind.level), ", ".join(kind.__struct_fields__), kind.__doc__]
        for name, kind in EVENTS.items()
    ]

    assert rows("docs/events.md", "| event | level | fields | meaning |") == expected


def test_no_page_names_an_event_that_does_not_exist() -> None:
    """What the pages tell an operator to look for exists."""
    named = {
        (shown(page), name)
        for page in files(".md")
        for name in re.findall(r"`((?:worker|process|pool)\.[a-z_]+)`", read(page))
    }

    assert {(page, name) for page, name in named if name not in EVENTS} == set()


def shown_default(field: Field[Any]) -> str:
    """Return a default as the reference has it."""
    if field.default is msgspec.NODEFAULT:
        return "required"
    return f"`{','.join(field.default) if isinstance(field.default, tuple) else field.default}`"


def shown_flag(setting: Setting) -> str:
    """Return what sets a setting on the command line, as the reference has it; empty if nothing does."""
    if not setting.flag.startswith("-"):
        return f"`{setting.metavar}`" if setting.flag else ""
    return f"`{f'{setting.flag} {setting.metavar}'.rstrip()}`"


def test_the_reference_lists_the_options_of_a_task() -> None:
    """Every option stands there with its default, what is allowed and what it means."""
    expected = [
        [f"`{name}`", shown_default(field), field.about.check.allowed, field.about.meaning]
        for name, field in OPTIONS.items()
    ]

    assert rows("docs/settings.md", "| option | default | allowed | meaning |") == expected


def test_the_reference_lists_what_a_submit_may_ask_for() -> None:
    """Every option of a submit that no task declares stands there, under the name in which people give it."""
    words = {option: word for word, (option, _) in WORDS.items()}
    listed = [name for name, *_ in rows("docs/settings.md", "| option | takes | meaning |")]
    beside = _by_name(Task.options) - {"options"}

    assert len(set(listed)) == len(listed)
    assert set(listed) == {f"`{words.get(name, name)}`" for name in {*SUBMIT_OPTIONS, *beside} if name not in OPTIONS}


def test_the_reference_lists_what_a_task_declares_beside_its_options() -> None:
    """Everything that the decorator takes and that is no option of its processes stands there."""
    listed = [name for name, *_ in rows("docs/settings.md", "| declared | takes | meaning |")]
    taken = _by_name(Lash.task) - {"options"} | get_type_hints(ChosenTaskOptions).keys()

    assert len(set(listed)) == len(listed)
    assert set(listed) == {f"`{name}`" for name in taken if name not in OPTIONS and name not in WORDS}


def test_the_glossary_names_every_place() -> None:
    """A place that is added is added there."""
    (meaning,) = [row[1] for row in rows("docs/glossary.md", GLOSSARY_HEADER, after="## Where") if row[0] == "place"]

    assert [place.name for place in PLACES if not re.search(rf"\b{place.name}\b", meaning)] == []


def _by_name(function: Callable[..., object]) -> set[str]:
    """Return the parameters that are given by name."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    return {name for name, each in inspect.signature(function).parameters.items() if each.kind in kinds}


@pytest.mark.parametrize(
    ("heading", "settings"), [("## Settings of a worker", WORKER_SETTINGS), ("## Settings of a pool", POOL_SETTINGS)]
)
def test_the_reference_lists_the_settings(heading: str, settings: dict[str, Field[Setting]]) -> None:
    """Every setting stands there with its default, what is allowed, its flag and what it means."""
    expected = [
        [
            f"`{name}`",
            field.about.default or shown_default(field),
            field.about.check.allowed,
            shown_flag(field.about),
            f"milliseconds {field.about.meaning}" if field.about.is_time else field.about.meaning,
        ]
        for name, field in settings.items()
    ]

    assert rows("docs/settings.md", "| setting | default | allowed | flag | meaning |", after=heading) == expected


def test_the_reference_lists_what_a_lash_is_made_of() -> None:
    """Every argument stands there with its default; where the server is has a default of its own."""
    listed = {name.strip("`"): default.strip("`") for name, default, *_ in rows("docs/settings.md", LASH_HEADER)}
    expected = {each.name: str(each.default) for each in inspect.signature(Lash).parameters.values()}

    assert listed.keys() == expected.keys()
    assert listed | {"url_or_client": "None"} == expected


def test_the_reference_lists_the_options_of_a_url() -> None:
    """Each with the values that are allowed, and the URLs that may have it."""
    expected = [[f"`{name}`", each.allowed, ", ".join(each.schemes)] for name, each in URL_OPTIONS.items()]

    assert rows("docs/settings.md", "| option | allowed | in |") == expected


def test_no_page_promises_what_nobody_can_keep() -> None:
    """Owner-bound work is *started at most once by the pool*; nothing grander is said anywhere."""
    grand = re.compile("exactly[ -]" + "once", re.IGNORECASE)

    assert [shown(path) for path in files(".md", ".py", ".lua", ".yaml") if grand.search(read(path))] == []


def test_the_name_of_a_decision_is_its_sentence() -> None:
    """A record is named by its number and what was decided, which is also its heading; no two share a number."""
    pages = list(files(".md", under="docs/decisions"))
    headings = [read(page).splitlines()[0] for page in pages]

    numbers = [page.stem.partition("-")[0] for page in pages]
    assert numbers == sorted(set(numbers))
    assert [page.stem.partition("-")[2] for page in pages] == [
        heading.removeprefix("# ").lower().replace(" ", "-") for heading in headings
    ]
