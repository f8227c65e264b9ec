"""The guide and nothing else: its blocks are one program, which is checked and run as it stands."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.checker import found_in_programs
from tests.repo.tree import ROOT, read

GUIDE = read(ROOT / "docs/guide.md")

# What the guide leaves to uvicorn and to cron.
MORE_TESTS = """
import asyncio

import pytest
from fastapi.testclient import TestClient
from lash_redis import LashError, PayloadError, Process
from pydantic import BaseModel

from shop import all_in_one, api, bank, nightly
from shop.tasks import charge, lash, receipt


class Order(BaseModel):
    id: str


@lash.task(recovery="rerunnable")
def note(order: dict[str, object]) -> str:
    return str(order["id"])


def test_a_pydantic_model_is_carried_as_plain_values():
    with pytest.raises(PayloadError):
        note.blocking.submit(Order(id="o-17"))
    process = note.blocking.submit(Order(id="o-17").model_dump(mode="json"))
    asyncio.run(nightly.main())
    assert process.blocking.result(timeout=5) == "o-17"


def test_a_task_is_a_function():
    assert receipt("o-17", "paid") == "Receipt for o-17: paid"
    with pytest.raises(LashError):
        asyncio.run(charge("o-17", 5))


def test_every_error_of_a_request_has_its_status(monkeypatch):
    result = Process.result
    monkeypatch.setattr(Process, "result", lambda self, timeout: result(self, timeout / 100))
    with TestClient(api.app) as client:  # nobody works
        assert client.get("/orders/o-18/charge").status_code == 404
        assert client.post("/orders/o-18/receipt").status_code == 404
        assert client.delete("/orders/o-18/charge").status_code == 404
        assert client.post("/orders/ö/charge", params={"cents": 5}).status_code == 422
        assert client.post("/orders/o-18/charge", params={"cents": 2**70}).status_code == 422
        assert client.post("/orders/o-18/charge", params={"cents": 5}).status_code == 202
        assert client.post("/orders/o-18/receipt").status_code == 504
        assert client.delete("/orders/o-18/charge").status_code == 202
        assert client.get("/orders/o-18/charge").json() == {"charge": "cancelled", "why": "changed my mind"}
        assert client.delete("/orders/o-18/charge").status_code == 409
        assert client.post("/orders/o-18/receipt").status_code == 409


def test_the_service_with_its_worker_charges():
    with TestClient(all_in_one.app) as client:
        assert client.get("/orders/o-18/charge").status_code == 404
        client.post("/orders/o-18/charge", params={"cents": 5})
        answer = client.post("/orders/o-18/receipt").json()
        assert answer == {"receipt": "Receipt for o-18: 5 cents, charge:o-18, for o-18"}
        assert client.get("/orders/o-18/charge").json()["charge"] == "paid"


def test_a_charge_that_failed_has_no_receipt(monkeypatch):
    async def refuse(order_id, cents, *, key):
        raise ValueError("no funds")

    monkeypatch.setattr(bank, "pay", refuse)
    with TestClient(all_in_one.app) as client:
        client.post("/orders/o-18/charge", params={"cents": 5})
        refused = client.post("/orders/o-18/receipt")
        assert refused.status_code == 409
        assert refused.json() == {"error": "process 'charge:o-18' failed: ValueError: no funds"}
        assert client.get("/orders/o-18/charge").json() == {"charge": "failed", "why": "ValueError: no funds"}


def test_cron_runs_what_waits():
    process = receipt.blocking.submit("o-17", "paid")
    asyncio.run(nightly.main())
    assert process.blocking.result(timeout=5) == "Receipt for o-17: paid"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return the folder of the program, as a reader of the guide would write it."""
    for text in _blocks(GUIDE):
        path = tmp_path / text.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "shop/__init__.py").touch()
    return tmp_path


def test_the_program_is_typed_and_the_refused_lines_are_refused(shop: Path) -> None:
    """A checker finds nothing in it, nor in the README's programs, but what the guide says that it finds."""
    (shop / "readme").mkdir()  # its program is named shop too
    for number, text in enumerate(_blocks(read(ROOT / "README.md"))):
        if "import " in text:
            named = re.match(r"# (\w+\.py)\n", text)
            (shop / "readme" / (named[1] if named else f"readme_{number}.py")).write_text(text, encoding="utf-8")

    found = found_in_programs(shop, ["readme", "."])

    refused = (shop / "shop/refused.py").read_text(encoding="utf-8").splitlines()
    expected = [number for number, line in enumerate(refused) if "await " in line or line.startswith("@")]
    assert {(file.name, line) for file, line, _ in found} == {("refused.py", number) for number in expected}, found
    assert len(expected) == 4


def test_the_tests_of_the_program_pass(shop: Path) -> None:
    """They are the reader's first: of the service, of its worker, and of what cron starts."""
    for needed in ("fastapi", "httpx"):
        pytest.importorskip(needed, reason=f"{needed} comes with scripts/check")
    (shop / "tests/test_more.py").write_text(MORE_TESTS, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LASH_REDIS_")}

    ran = subprocess.run(
        [Path(sys.executable).with_name("pytest"), "-q", "-p", "no:valkey", "-p", "no:cacheprovider"],
        cwd=shop,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "8 passed" in ran.stdout


@pytest.mark.parametrize("command", re.findall(r"^    (lash-redis .*)$", GUIDE, re.MULTILINE))
def test_every_command_is_understood(command: str) -> None:
    """Whoever types it is not told of a wrong option."""
    verb, *options = shlex.split(command)[1:]
    parser = argparse.ArgumentParser()
    importlib.import_module(f"lash_redis.cli.{verb}").add_parser(parser.add_subparsers())

    assert parser.parse_args([verb, *options]).run


def _blocks(page: str) -> list[str]:
    return re.findall(r"^```(?:python|toml)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
