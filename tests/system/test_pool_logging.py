"""The lines of a worker process whose user sets up logging: each is shown once, however and whenever that is done."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from lash_redis.core.outcomes import Failure
from tests.system.conftest import StartPool
from tests.system.pools import TASKS, Work

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

BASIC = "logging.basicConfig(level=logging.INFO)"
DICT = """logging.config.dictConfig({
    "version": 1,
    "handlers": {"err": {"class": "logging.StreamHandler"}},
    "root": {"level": "INFO", "handlers": ["err"]},
})"""
OWN = """logging.getLogger("lash_redis").addHandler(logging.StreamHandler())
logging.getLogger("lash_redis").setLevel("INFO")"""

FAILING = """
@lash.task(recovery="rerunnable", name="fail")
async def fail(name: str) -> None:
    set_up_logging()
    logging.info("told by the task")
    raise ValueError("line one\\npool.died slot=1 forged")
"""


@pytest.mark.parametrize("when", ["at import", "in a task"])
@pytest.mark.parametrize(
    "set_up", [BASIC, DICT, OWN, "pass"], ids=["basicConfig", "dictConfig", "a handler", "nothing"]
)
async def test_each_line_is_shown_once_however_logging_is_set_up(
    start_pool: StartPool, work: Work, tmp_path: Path, set_up: str, when: str
) -> None:
    """With ``disable_existing_loggers``, the default of ``dictConfig``, too. No message of a task forges a line.

    What a task logs itself is shown with its process id if nothing was set up.
    """
    body = "\n".join(f"    {line}" for line in set_up.splitlines())
    module = f"import logging, logging.config\n\n\ndef set_up_logging():\n{body}\n{TASKS}\n"
    module += "set_up_logging()\n" + FAILING.replace("    set_up_logging()\n", "") if when == "at import" else FAILING
    (tmp_path / "work.py").write_text(module)
    pool = start_pool()

    assert isinstance((await work.end_of(await work.submit("fail", "fail"))).outcome, Failure)
    pool.until_logged("process.failed")
    pool.signal()

    assert pool.exit_code() == 0
    lines = pool.log.splitlines()
    for event in ("worker.ready", "process.failed", "worker.drained", "told by the task"):
        assert len([line for line in lines if event in line]) == 1, event
    if set_up == "pass":
        assert re.search(r" INFO process_id=fail root: told by the task$", pool.log, re.MULTILINE)
        assert '\n    Traceback (most recent call last):\n      File "' in pool.log
    assert not [line for line in lines if re.match(r"pool\.died", line)]
