"""Statements of the pages that the code can hold: numbers, defaults, commands, flags, paths, exit codes."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lash_redis import Lash, LeaseOwner, Process, ProcessRegistry, Retries, Task, Worker
from lash_redis.app import wait
from lash_redis.cli import connect
from lash_redis.cli import worker as worker_verb
from lash_redis.cli.main import VERBS, _parser
from lash_redis.core.checks import MAX_BATCH, MAX_BATCH_BYTES, MAX_PAYLOAD_BYTES
from lash_redis.core.cron import MOST_INSTANTS
from lash_redis.core.labels import MOST_LABELS
from lash_redis.core.options import MAX_AFTER, ProcessOptions
from lash_redis.core.outcomes import Failure
from lash_redis.core.pausing import MOST_PAUSED
from lash_redis.core.policies import MOST_SLOTS
from lash_redis.core.schedules import MOST_INPUT_BYTES
from lash_redis.pool import life, messages, slot, streams
from lash_redis.pool.settings import POOL_SETTINGS
from lash_redis.recovery import sweep
from lash_redis.registry.calls.owners import LISTS_AFTER_MS
from lash_redis.registry.calls.selecting import MOST as MOST_AT_ONCE
from lash_redis.registry.service import LIVING_MS
from lash_redis.registry.transport.address import DEFAULT_TIMEOUT_S
from lash_redis.registry.transport.server import OLDEST
from lash_redis.tasks.payload import MAX_NESTING
from lash_redis.worker.queue_order import MOST_WEIGHT
from lash_redis.worker.settings import WorkerSettings
from lash_redis.worker.trust import margin_ms
from tests.repo.tree import ROOT, files, read, shown

WORKER = WorkerSettings()
GRACE_S, INTERRUPT_S, LAST_S = (ms // 1000 for ms in (WORKER.grace_ms, WORKER.interrupt_ms, WORKER.last_writes_ms))
LEASE_S = WORKER.lease_ttl_ms // 1000
START_S = POOL_SETTINGS["start_timeout_ms"].default // 1000
REREAD = [wait._REREAD_S * (1 + part * wait._REREAD_SPREAD) for part in (-1, 1)]
MIB = 1 << 20
DAY_MS = 86_400_000
RETRIES = Retries()
REDIS, VALKEY = (".".join(map(str, OLDEST[kind])) for kind in ("redis", "valkey"))

STATEMENTS = [
    ("README.md", f"defaults, allow the pool {WORKER.must_allow_s} s"),
    ("README.md", f"losses reach its limit ({ProcessOptions().loss_limit} unless declared)"),
    ("README.md", f"You need Redis {REDIS} or later, or Valkey {VALKEY} or later"),
    ("README.md", f"code is 0 if the pool drained, {messages.DEFERRED} if something was left"),
    ("README.md", f"{messages.FAULT} for a fault"),
    ("docs/operations.md", f"Redis {REDIS} or later, or Valkey {VALKEY} or later"),
    ("docs/operations.md", f"A time-out ({DEFAULT_TIMEOUT_S:g} s) counts silence"),
    ("docs/operations.md", f"the next sweep of any worker (every {WORKER.sweep_ms // 1000} s)"),
    ("docs/operations.md", f"grace ({GRACE_S} s) to end; what is left is interrupted ({INTERRUPT_S} s)"),
    ("docs/operations.md", f"then results and verdicts are written ({LAST_S} s)"),
    ("docs/operations.md", f"| **{WORKER.must_allow_s} s** |"),
    ("docs/operations.md", f"| margin | {WORKER.must_allow_s - GRACE_S - INTERRUPT_S - LAST_S} s |"),
    ("docs/operations.md", f"memory ({streams._MAX_WAITING_BYTES // MIB} MiB at most for each OS process)"),
    ("docs/operations.md", f"then after {slot._FIRST_S:g} s doubling to {slot._LONGEST_S:g} s, and afresh"),
    ("docs/operations.md", f"has lived for {slot._LIVED_MS // 1000} s after it was ready"),
    ("docs/operations.md", f"waits for it for {START_S} s (`--start-timeout`)"),
    ("docs/operations.md", f"not ready after {life.SLOW_START_S:g} s"),
    ("docs/operations.md", f"`--concurrency` ({WORKER.concurrency}) how many"),
    ("docs/operations.md", f"The exit code is 0 for an answer, {connect.REFUSED} for a refusal"),
    ("docs/operations.md", "is forgotten a week after its last call"),
    ("docs/operations.md", "A worker lives if it called within the last minute"),
    ("docs/operations.md", f"goes on in calls of {MAX_BATCH} rows"),
    ("docs/guarantees.md", f"loss limit ({ProcessOptions().loss_limit} unless declared)"),
    ("docs/guarantees.md", f"reads its row every {REREAD[0]:g} to {REREAD[1]:g} s"),
    ("docs/guarantees.md", f"10 % of the lease and {margin_ms(1000)} ms"),
    ("docs/leases.md", f"a TTL, {LEASE_S} s unless set"),
    ("docs/leases.md", f"10 % of the TTL and {margin_ms(1000)} ms"),
    ("docs/leases.md", f"{LEASE_S - margin_ms(WORKER.lease_ttl_ms) // 1000} s   {LEASE_S} s"),
    ("docs/leases.md", f"At the limit, {ProcessOptions().loss_limit} unless declared"),
    ("docs/arguments.md", f"There may be {MAX_NESTING} levels of nesting"),
    ("docs/settings.md", f"| `max_payload_bytes` | `{MAX_PAYLOAD_BYTES}` |"),
    ("docs/settings.md", f"at most {MOST_LABELS} names with their values"),
    ("docs/settings.md", f"at most {MAX_AFTER} process ids"),
    ("docs/settings.md", f"| `limit` | from 1 to {MOST_SLOTS} |"),
    ("docs/operations.md", f"Above {WORKER.keep_memory} % of it workers forget"),
    ("docs/operations.md", f"beyond {WORKER.keep_rows:,} of a task"),
    ("docs/guarantees.md", f"at most the latest {WORKER.keep_rows:,} rows"),
    ("docs/groups.md", f"takes up to {MAX_AFTER} handles"),
    ("docs/later.md", f"| `attempts` | {RETRIES.attempts} |"),
    ("docs/later.md", f"| {RETRIES.first:g} s, {RETRIES.factor:g}, {RETRIES.most:g} s |"),
    ("docs/later.md", f"| `jitter` | {RETRIES.jitter:g} |"),
    ("docs/queues.md", f"Each queue has a weight, from 1 to {MOST_WEIGHT}, or none has"),
    ("docs/queues.md", f"At most {MOST_PAUSED} queues and tasks are paused"),
    ("docs/retention.md", f"| {WORKER.keep_ms // DAY_MS} days | `--keep {WORKER.keep_ms // 1000}`"),
    ("docs/retention.md", f"| {WORKER.keep_rows:,} | `--keep-rows {WORKER.keep_rows}`"),
    ("docs/retention.md", f"| {WORKER.keep_memory} % | `--keep-memory {WORKER.keep_memory}`"),
    ("docs/retention.md", f"is kept for {WORKER.keep_ids_ms // DAY_MS} more days"),
    ("docs/retention.md", f"One call acts on {MOST_AT_ONCE:,} processes at most"),
    ("docs/schedules.md", f"at most {MOST_INPUT_BYTES // 1024} KiB"),
    ("docs/schedules.md", f"one for each of the newest n, at most {MOST_INSTANTS} |"),
    ("deploy/redis.conf", f"Above {WORKER.keep_memory} % of it workers forget"),
]
CODES = {0: "drained", messages.DEFERRED: "deferred", messages.FAULT: "a fault", messages.BAD_SETTINGS: "settings"}
DEPLOYED = ("deploy/compose.yaml", "deploy/kubernetes.yaml", "deploy/lash-redis.service", "deploy/Dockerfile")

DOORS = {
    "lash": Lash,
    "registry": ProcessRegistry,
    "process": Process,
    "worker": Worker,
    "task": Task,
    "charge": Task,
    "owner": LeaseOwner,
}
PROSE = [page for page in files(".md") if page.name != "CHANGELOG.md" and page.parent.name != "decisions"]
CODE = {
    word
    for folder in ("lash_redis", "deploy", "scripts", "tests")
    for path in files(".py", ".lua", ".yaml", ".service", ".conf", under=folder)
    for word in (path.stem, *re.findall(r"\w+", read(path)))
}
OF_ANOTHER_PROJECT = {"lineage.md"}
OF_OTHER_PROGRAMS = {"AsyncResult", "apply_async", "task_id", "task_always_eager", "max_retries", "acks_late"}
OF_OTHER_PROGRAMS |= {"rate_limit", "result_expires", "task_reject_on_worker_lost"}
OF_OTHER_PROGRAMS |= {"model_dump", "model_validate"}


def words(text: str) -> str:
    """Return text with a single space wherever there is any."""
    return " ".join(text.split())


@pytest.mark.parametrize(("page", "statement"), STATEMENTS, ids=[f"{page}: {text}" for page, text in STATEMENTS])
def test_a_number_of_the_pages_is_that_of_the_code(page: str, statement: str) -> None:
    """Each is written here with the constant in its place."""
    assert words(statement) in words(read(ROOT / page))


PRINTED = [
    (
        "docs/operations.md",
        "*no worker that called within the last minute*",
        "no worker that called within the last minute",
    ),
    ("docs/operations.md", "*declared it only with other signatures*", "declared it only with other signatures"),
    (
        "docs/operations.md",
        "*no worker seems to run: none has called Redis within the last minute*",
        "no worker seems to run: none has called Redis within the last minute",
    ),
    ("docs/operations.md", "*has no tasks*", "has no tasks"),
    ("docs/operations.md", "*runs alone*", "runs alone"),
    ("docs/operations.md", "`lease lapsed`", "lease lapsed"),
    ("docs/guarantees.md", "*still running*", "still running"),
    ("docs/operations.md", "`.lapsed`", "lapsed: int"),
    ("docs/operations.md", "`.phases.uncertain`", "phases: dict[str, int]"),
    ("docs/states.md", "`lease lapsed`", "lease lapsed"),
]


@pytest.mark.parametrize(("page", "quoted", "printed"), PRINTED, ids=[f"{page}: {text}" for page, text, _ in PRINTED])
def test_what_a_page_says_is_printed_is_printed(page: str, quoted: str, printed: str) -> None:
    """A text that people look for stands in the code as in the page."""
    assert quoted in read(ROOT / page)
    assert any(printed in read(path) for path in files(".py", under="lash_redis"))


def test_the_numbers_that_pages_round_are_these() -> None:
    """A minute; a week; an hour; 1 MiB; 10 % of a long lease."""
    assert LIVING_MS == 60_000
    assert sweep.FORGET_OWNERS_AFTER_MS == 7 * 24 * 3600 * 1000
    assert LISTS_AFTER_MS == 3600 * 1000
    assert MAX_BATCH_BYTES == MAX_PAYLOAD_BYTES == MIB
    assert margin_ms(60_000) == 6_000


def test_the_exit_codes_of_the_runbook_are_those_of_the_pool() -> None:
    """Each has its line, and the verb's own help has them too."""
    table = dict(re.findall(r"^\| (\d) \| (.*) \|$", read(ROOT / "docs/operations.md"), re.MULTILINE))

    assert set(table) == set(map(str, CODES))
    for code, word in CODES.items():
        assert word in table[str(code)]
        assert re.search(rf"\b{code}: |[Ee]xit code {code}\b", worker_verb.__doc__ or "")


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb."""
    (actions,) = [each for each in _parser([])._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(actions.choices)


PARSERS = verbs()


def commands(page: Path) -> Iterator[list[str]]:
    """Yield what follows ``lash-redis`` in the shell lines and quoted commands of a page."""
    text = read(page)
    found = [*re.findall(r"^    lash-redis (.*)$", text, re.MULTILINE), *re.findall(r"`lash-redis ([^`]+)`", text)]
    for command in found:
        yield shlex.split(command.replace("…", "x"), comments=True)


@pytest.mark.parametrize("page", list(files(".md")), ids=shown)
def test_every_command_of_a_page_is_one(page: Path) -> None:
    """Its verb exists, its flags are flags of that verb, and a whole line is taken by the parser."""
    for command in commands(page):
        verb = command[0]
        assert verb in (*VERBS, "--help"), command
        flags = {word.partition("=")[0] for word in command[1:] if word.startswith("--")}
        assert flags <= set(PARSERS[verb]._option_string_actions), command
        if len(command) > 1 and flags != {"--help"}:
            _parser([verb]).parse_args(_with_what_is_required(command))


def _with_what_is_required(command: list[str]) -> list[str]:
    given = list(command)
    for action in PARSERS[command[0]]._actions:
        if action.required and action.option_strings and action.option_strings[0] not in command:
            given += [action.option_strings[0], "x"]
    needs_a_target = any(not action.option_strings for action in PARSERS[command[0]]._actions)
    has_one = len(command) > 1 and not command[1].startswith("-")
    return given if has_one or not needs_a_target else [given[0], "x", *given[1:]]


def test_every_verb_is_in_the_runbook_and_the_readme() -> None:
    """An operator finds it there."""
    runbook, readme = read(ROOT / "docs/operations.md"), read(ROOT / "README.md")

    assert [verb for verb in VERBS if f"lash-redis {verb}" not in readme] == []
    assert [verb for verb in VERBS if f"lash-redis {verb}" not in runbook] == []


def test_every_flag_that_a_page_names_is_one() -> None:
    """Of some verb; those of other programs stand in their own commands."""
    known = {flag for parser in PARSERS.values() for flag in parser._option_string_actions} | {"--version"}
    of_others = {"--randomly-seed", "--build", "--pdb", "--quick"}  # of pytest, of compose and of scripts/bench
    named = {
        (shown(page), flag)
        for page in files(".md")
        if page.name != "CHANGELOG.md"  # it names what was
        for quoted in re.findall(r"`([^`\n]+)`", read(page))
        for flag in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", quoted)
    }

    assert {(page, flag) for page, flag in named if flag not in known | of_others} == set()


@pytest.mark.parametrize("page", list(files(".md")), ids=shown)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    """Files of the tree, from its root; those of the package also from there. The shop is an example."""
    named = set(re.findall(r"`((?!shop/)(?:[a-z_.]+/)+[a-z_0-9]+\.(?:py|md|lua|conf|yaml))`", read(page)))
    roots = (ROOT, ROOT / "lash_redis", ROOT / "lash_redis/registry/lua", page.parent)

    shown = set(re.findall(r"^# ((?:\w+/)+\w+\.py)$", read(page), re.MULTILINE))  # files that the page itself has
    missing = sorted(name for name in named - shown if not any((root / name).exists() for root in roots))

    assert missing == []
    scripts = set(re.findall(r"scripts/([a-z_]+)\b(?!/)", read(page)))
    assert [name for name in sorted(scripts) if not (ROOT / "scripts" / name).exists()] == []


def test_every_name_of_a_recipe_is_in_a_file_that_its_step_names() -> None:
    """Whoever follows a step opens its file and looks for the name."""
    page = read(ROOT / "CONTRIBUTING.md")
    recipes = page[page.index("## Adding a transition") : page.index("## Before you send it")]
    missing = []
    for step in re.split(r"\n(?=\d+\. )", recipes):
        quoted = re.findall(r"`([^`\n]+)`", step)
        paths = {path for text in quoted if "/" in text for path in _named_by(text)}
        code = "".join(map(read, paths))
        names = {name for text in quoted if "/" not in text for name in re.findall(r"\b\w*(?:_|[a-z][A-Z])\w+\b", text)}
        missing += [name for name in sorted(names) if paths and not re.search(rf"\b{name}\b", code)]

    assert missing == []


def _named_by(text: str) -> Iterator[Path]:
    """Yield the files of code that a page calls so: one, or all of a folder."""
    for place in (ROOT / text, ROOT / "lash_redis" / text):
        yield from [place] if place.is_file() else place.rglob("*.py")


def test_the_deployments_have_the_defaults_that_they_state() -> None:
    """Their commands give the grace and the concurrency that a pool has by itself."""
    for page in DEPLOYED:
        text = re.sub(r'[",]', "", read(ROOT / page))
        assert f"--grace {GRACE_S}" in text, page
        assert f"--concurrency {WORKER.concurrency}" in text, page


@pytest.mark.parametrize(
    ("name", "page"), [("LASH_REDIS_URL", "docs/settings.md"), ("LASH_REDIS_DATA", "docs/settings.md")]
)
def test_the_environment_variables_are_listed(name: str, page: str) -> None:
    """Those that the package reads, and no other."""
    read_by_us = {
        found for path in files(".py", under="lash_redis") for found in re.findall(r"\bLASH_REDIS_[A-Z]+\b", read(path))
    }
    listed = set(re.findall(r"^\| `(LASH_REDIS_[A-Z]+)`", read(ROOT / page), re.MULTILINE))

    assert name in listed
    assert read_by_us == listed


def test_a_failure_has_no_code_that_nothing_writes() -> None:
    """The codes that the docstring names are written by the worker."""
    (codes,) = re.findall(r"code: the exception's qualified name, or (.*?)\.\n", Failure.__doc__ or "", re.DOTALL)
    written = "".join(read(path) for path in files(".py", under="lash_redis/worker"))

    named: list[Any] = re.findall(r"``(\w+)``", codes)
    assert named
    assert [code for code in named if f'"{code}"' not in written] == []


@pytest.mark.parametrize("page", PROSE, ids=shown)
def test_every_method_that_a_page_calls_is_one(page: Path) -> None:
    """Of the doors that programs use, under the names that the pages give them."""
    called = re.findall(rf"\b({'|'.join(DOORS)})\.(?:blocking\.)?([a-z_]+)\(", read(page))

    assert [(door, name) for door, name in called if not hasattr(DOORS[door], name)] == []


@pytest.mark.parametrize("page", PROSE, ids=shown)
def test_every_name_of_code_that_a_page_quotes_is_somewhere_in_the_code(page: Path) -> None:
    """A name that was changed in the code is changed in the pages."""
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", read(page), flags=re.DOTALL | re.MULTILINE))
    names = {
        name
        for text in quoted
        for name in re.findall(r"(?<![\w/.-])(?:[A-Z][a-z]+(?:[A-Z][a-z]+)+|_?[a-z]+(?:_[a-z]+)+)\b", text)
    }

    assert page.name in OF_ANOTHER_PROJECT or sorted(names - CODE - OF_OTHER_PROGRAMS) == []
