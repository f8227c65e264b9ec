"""How an operator's tool, with or without a command line, gets an open registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash_redis.core.errors import RegistryUnavailable, SettingsError
from lash_redis.embedded import connect
from lash_redis.embedded.folders import prepare
from lash_redis.operate.connect import NoServer, open_registry
from lash_redis.registry.transport.urls import URL_VARIABLE
from tests.support import no_project


class FakeEmbedded:
    """A fake of one use of the embedded server, at whose socket nothing answers."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/nobody.sock"
        self.closed = 0

    def revive(self) -> None:
        """Do not answer after that either."""

    def close(self) -> None:
        """Count a close."""
        self.closed += 1


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data folder that does not exist yet; no URL is given in the environment."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.setenv("LASH_REDIS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


async def test_without_a_server_the_error_names_no_user_interface(data: Path) -> None:
    """Each user interface adds how its users name a server."""
    with pytest.raises(NoServer, match="expected a URL or ") as refused:
        async with open_registry(None, "lash"):
            pass

    assert "--url" not in str(refused.value)
    assert refused.value.why_not_embedded == f"no embedded server has left data in {data}"


async def test_outside_of_a_project_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no folder in which an embedded server could have left anything."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.delenv("LASH_REDIS_DATA", raising=False)
    with no_project(monkeypatch) as bare, pytest.raises(NoServer, match=f"{bare} is in no .*`mkdir .lash-redis`"):
        async with open_registry(None, "lash"):
            pass


async def test_the_embedded_server_is_used_where_it_has_left_data(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The use ends with the context, also if the server does not answer."""
    prepare(data)
    fake = FakeEmbedded(data)
    monkeypatch.setattr(connect, "open_embedded", lambda: fake)

    with pytest.raises(RegistryUnavailable, match=r"nobody\.sock"):
        async with open_registry(None, "lash"):
            pass

    assert fake.closed == 1


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://:hunter2@localhost", "begins with redis://"),
        ("redis:hunter2", "begins with redis://"),
        ("redis://:hunter2/x@localhost", "percent-encoded"),
        ("redis://localhost?unheard_of=hunter2", "no option but .*unheard_of"),
    ],
)
@pytest.mark.parametrize("by_variable", [False, True])
async def test_a_bad_url_is_refused_and_not_repeated(
    url: str, complaint: str, by_variable: bool, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it comes from: it may hold a password."""
    if by_variable:
        monkeypatch.setenv(URL_VARIABLE, url)

    with pytest.raises(SettingsError, match=complaint) as refused:
        async with open_registry(None if by_variable else url, "lash"):
            pass

    assert "hunter2" not in str(refused.value)
