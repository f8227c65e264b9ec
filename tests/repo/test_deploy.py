"""The deployment files: their commands are commands, their times fit the pool's, their server would be accepted."""

from __future__ import annotations

import argparse
import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lash_redis.cli.worker import add_parser, settings_of
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.worker.settings import WorkerSettings
from tests.repo.tree import ROOT, read
from tests.servers import binary
from tests.support import block_until

DEPLOY = ROOT / "deploy"
SLACK_S = 5  # for a slow machine


def compose() -> tuple[list[str], int]:
    """Return the command of the compose file's pool, and the seconds that it is allowed."""
    worker = yaml.safe_load(read(DEPLOY / "compose.yaml"))["services"]["worker"]
    return worker["command"], int(worker["stop_grace_period"].removesuffix("s"))


def systemd() -> tuple[list[str], int]:
    """Return the same of the systemd unit."""
    service = unit()["Service"]
    return shlex.split(service["ExecStart"]), int(service["TimeoutStopSec"])


def kubernetes() -> tuple[list[str], int]:
    """Return the same of the Deployment, whose preStop hook would eat of the time."""
    pod = manifest()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "lifecycle" not in container
    return container["command"] + container["args"], pod["terminationGracePeriodSeconds"]


def unit() -> configparser.ConfigParser:
    """Return the systemd unit."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(read(DEPLOY / "lash-redis.service"))
    return parser


def manifest() -> dict[str, Any]:
    """Return the Deployment."""
    loaded: dict[str, Any] = yaml.safe_load(read(DEPLOY / "kubernetes.yaml"))
    return loaded


def understood(command: list[str]) -> argparse.Namespace:
    """Return what the command line makes of a command, in whose arguments a variable has some value."""
    assert Path(command[0]).name == "lash-redis"
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args([re.sub(r"\$\(\w+\)", "value", argument) for argument in command[1:]])


def dockerfile() -> dict[str, list[list[str]]]:
    """Return the instructions of the Dockerfile: the words of each, in JSON or split by spaces."""
    found: dict[str, list[list[str]]] = {}
    for line in read(DEPLOY / "Dockerfile").splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            found.setdefault(name, []).append(json.loads(rest) if rest.startswith("[") else rest.split())
    return found


DEPLOYMENTS = pytest.mark.parametrize("deployment", [compose, systemd, kubernetes])


@DEPLOYMENTS
def test_whoever_stops_the_pool_allows_what_the_pool_asks_for(deployment: Any) -> None:
    """The time until SIGKILL is the sum of the drain's phases and a little more: less would kill a drain."""
    command, allowed_s = deployment()
    needed_s = settings_of(understood(command)).worker.must_allow_s

    assert allowed_s == needed_s + SLACK_S


@DEPLOYMENTS
def test_its_comments_count_as_the_pool_does(deployment: Any) -> None:
    """The sum in the comment is made of the defaults."""
    page = {"compose": "compose.yaml", "systemd": "lash-redis.service", "kubernetes": "kubernetes.yaml"}
    text = " ".join(read(DEPLOY / page[deployment.__name__]).replace("#", " ").split())
    settings = WorkerSettings()
    sum_ = (
        f"grace {settings.grace_ms // 1000} s + interrupt {settings.interrupt_ms // 1000} s"
        f" + last writes {settings.last_writes_ms // 1000} s + margin 3 s = the {settings.must_allow_s} s"
    )

    assert sum_ in text
    assert f"and {SLACK_S} s for a slow" in text


def test_systemd_signals_the_supervisor_alone() -> None:
    """The supervisor tells its worker processes when to leave; one killed for memory does not stop the others."""
    service = unit()["Service"]

    assert service["KillMode"] == "mixed"
    assert service["KillSignal"] == "SIGTERM"
    assert service["OOMPolicy"] == "continue"
    assert "ProcSubset" not in service  # it hides the boot id, and with it every proof


def test_variables_of_the_manifest_are_defined_there() -> None:
    """What the arguments refer to is an environment variable of the container."""
    (container,) = manifest()["spec"]["template"]["spec"]["containers"]
    defined = {each["name"] for each in container["env"]}

    assert set(re.findall(r"\$\((\w+)\)", " ".join(container["args"]))) <= defined
    assert "LASH_REDIS_URL" in defined


def test_the_image_that_compose_builds_has_a_dockerfile() -> None:
    """It is built from the root of a clone, and starts the pool that the compose file starts."""
    build = yaml.safe_load(read(DEPLOY / "compose.yaml"))["services"]["worker"]["build"]
    instructions = dockerfile()

    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert ROOT / build["dockerfile"] == DEPLOY / "Dockerfile"
    assert instructions["CMD"] == [compose()[0]]
    assert read(DEPLOY / "shop.py") in read(ROOT / "README.md")


def test_the_image_has_what_installing_needs(tmp_path: Path) -> None:
    """What is copied is there, is not ignored, and is enough to build the package from."""
    copied = [source for *sources, _target in dockerfile()["COPY"] for source in sources]
    kept = {line[1:] for line in read(DEPLOY / "Dockerfile.dockerignore").splitlines() if line.startswith("!")}
    assert set(copied) == kept
    for source in copied:
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, target)

    build = "from hatchling.build import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)

    assert list(tmp_path.glob("*.whl"))


def test_the_user_of_the_image_is_a_number_and_not_root() -> None:
    """The kubelet refuses a container with runAsNonRoot whose user has only a name."""
    (container,) = manifest()["spec"]["template"]["spec"]["containers"]
    context = container["securityContext"]
    ((user,),) = dockerfile()["USER"]

    assert context["runAsNonRoot"]
    assert isinstance(context["runAsUser"], int)
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert context["runAsUser"] > 0


@pytest.fixture(params=["valkey", "redis7"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start a server with our configuration, in a folder of the test's own."""
    folder = Path(tempfile.mkdtemp(prefix="lash-"))  # a socket's path must be short
    socket = folder / "s"
    here = {"port": "0", "unixsocket": str(socket), "dir": str(folder), "logfile": str(folder / "log")}
    options = [part for name, value in here.items() for part in (f"--{name}", value)]
    server = subprocess.Popen([binary(request.param), str(DEPLOY / "redis.conf"), *options], stdin=subprocess.DEVNULL)
    try:
        block_until(socket.exists, "the server listens")
        yield f"unix://{socket}"
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


@pytest.mark.system
async def test_a_server_with_our_configuration_is_accepted(url: str) -> None:
    """Redis and Valkey both read redis.conf, and the registry finds it safe and append-only."""
    registry = ProcessRegistry(url, "deploy")

    server = await registry.open()
    await registry.aclose()

    assert server.durability == "append-only (each second)"
