"""A rolling deploy with a changed signature, rehearsed with real pools and real programs of two releases."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from lash_redis.app.process import Process
from lash_redis.core.model import Phase
from tests.system.conftest import StartPool

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform == "win32", reason="the pool needs POSIX")]

BOTH = """
import os
from pathlib import Path
from lash_redis import Lash

FOLDER = Path(os.environ["FOLDER"])
lash = Lash(namespace=os.environ["POOL_NAMESPACE"])


def note(*what):
    with (FOLDER / "runs").open("a") as ledger:
        ledger.write(" ".join(map(str, what)) + "\\n")
"""
OLD = f"""{BOTH}
@lash.task(recovery="rerunnable", name="mail")
def mail(to: str) -> str:
    note("mail", to)
    return to


@lash.task(recovery="owner_bound", name="charge")
async def charge(order: str, payer: str) -> str:
    note("charge", order, payer)
    return f"{{order}} by {{payer}}"
"""
NEW = f"""{BOTH}
@lash.task(recovery="rerunnable", name="mail")
def mail(to: list[str]) -> list[str]:
    note("mail", *to)
    return to


@lash.task(recovery="owner_bound", name="charge")
async def charge(payer: str, order: str, currency: str = "EUR") -> str:
    note("charge", order, payer)
    return f"{{order}} by {{payer}}"
"""


def program(source: str, name: str) -> ModuleType:
    """Return the module of a release, as its programs import it."""
    module = ModuleType(name)
    exec(source, module.__dict__)  # noqa: S102 - our own text
    return module


async def test_no_row_is_failed_lost_or_run_twice_while_two_releases_run(
    start_pool: StartPool, tmp_path: Path, namespace: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reordered arguments run on both releases; a changed type runs on its own, and waits while that one is away."""
    environment = {"FOLDER": str(tmp_path), "POOL_NAMESPACE": namespace, "LASH_REDIS_URL": url}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name, source in (("old", OLD), ("new", NEW)):
        (tmp_path / f"{name}.py").write_text(source)
    old, new = program(OLD, "old"), program(NEW, "new")
    sent: dict[str, Process] = {}

    async def submit_both(when: str) -> None:
        for release in (old, new):
            who = f"{release.__name__}-{when}"
            to = who if release is old else [who]
            order = {"order": f"order-{who}", "payer": f"payer-{who}"}
            sent[f"mail {who}"] = await release.mail.submit(to)
            sent[f"charge order-{who} payer-{who}"] = await release.charge.submit(
                *(order[name] for name in (("order", "payer") if release is old else ("payer", "order")))
            )

    async def are_completed(*starts: str) -> None:
        for name, process in sent.items():
            if name.startswith(starts):
                await process.result(timeout=60)

    async with old.lash, new.lash:
        await submit_both("before")
        leaving = start_pool("--workers", "1", target="old:lash", environment=environment)
        await are_completed("mail old", "charge")
        coming = start_pool("--workers", "1", target="new:lash", environment=environment)
        await submit_both("during")
        await are_completed("mail", "charge")
        leaving.signal()
        assert leaving.exit_code() == 0
        await submit_both("after")
        await are_completed("mail new", "charge")
        stuck = await sent["mail old-after"].record()
        assert (stuck.phase, stuck.first_started, stuck.losses) == (Phase.QUEUED, None, 0)
        back = start_pool("--workers", "1", target="old:lash", environment=environment)
        await are_completed("mail", "charge")
        for each in (coming, back):
            each.signal()
            assert (each.exit_code(), each.report()["abandoned"], each.report()["deferred"]) == (0, [], [])
    runs = (tmp_path / "runs").read_text().splitlines()
    assert Counter(runs) == dict.fromkeys(sent, 1)
    assert "worker.left_lane" in leaving.log
    assert "process.failed" not in leaving.log + coming.log + back.log
