"""What stands both in the Lua and in Python, or both in a text and in code, is the same."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from lash_redis.core.checks import MAX_BATCH, MAX_BATCH_BYTES, MAX_SETTLE_BATCH
from lash_redis.core.lanes import ALONE, ALONE_LOSSES
from lash_redis.registry import keys
from lash_redis.registry.answers import ClaimedRow, RenewedRow, SettleAction
from lash_redis.registry.codec import DISPOSITION_CODES, STATUS_CODES
from lash_redis.registry.scripts import CONNECTIONS, load_all, names
from lash_redis.registry.service import LIVING_MS
from lash_redis.registry.transport.connections import WIDTHS
from lash_redis.worker.loops.looking import Looking
from lash_redis.worker.loops.polling import Polling
from lash_redis.worker.stillness import MOST_MS
from tests.lua.lua_files import sources
from tests.lua.test_places import constants

SOURCES = sources()
RENEWED_AT_ONCE = 200


def bounds(name: str) -> dict[str, int]:
    """Return the bounds in a script's header, by what they bound."""
    (line,) = [each for each in load_all()[name].header if each.startswith("-- bound")]
    return {what: int(most) for what, most in re.findall(r"(\w+) <= (\d+)", line)}


@pytest.mark.parametrize("codes", [DISPOSITION_CODES, STATUS_CODES], ids=["dispositions", "states"])
def test_dispositions_and_states_have_the_same_codes_in_lua(codes: dict[object, str]) -> None:
    """The constant there has the name of the member."""
    lua = constants()

    assert {each: lua.get(getattr(each, "name", "")) for each in codes} == codes


def test_a_settle_knows_the_actions_of_a_settlement() -> None:
    """In its header and in its code."""
    actions = get_args(SettleAction)

    assert set(re.findall(r"\baction == '(\w+)'", SOURCES["settle"])) == set(actions)
    assert f"action: {', '.join(actions[:-1])} or {actions[-1]}" in SOURCES["settle"]


def test_the_longest_batch_stands_once_in_the_lua() -> None:
    """In the fragment that every script has."""
    code = "\n".join(re.sub(r"--.*", "", source) for source in SOURCES.values())

    assert re.findall(r"^local MAX_BATCH = (\d+)$", SOURCES["include/partition"], re.MULTILINE) == [str(MAX_BATCH)]
    assert len(re.findall(rf"\b{MAX_BATCH}\b", code)) == 1
    (first,) = re.findall(r"number \.\. '(0+1)'", SOURCES["include/claiming/hand_out_again"])
    assert len(first) == len(str(MAX_BATCH))  # a row's score ends with its number in the batch


def test_the_bound_in_bytes_is_the_same_in_lua() -> None:
    """What a script answers and what is sent to it have one bound."""
    assert re.findall(r"^local MAX_BYTES = (\d+)$", SOURCES["include/partition"], re.MULTILINE) == [
        str(MAX_BATCH_BYTES)
    ]


def test_rows_that_run_alone_have_the_same_lanes_in_lua() -> None:
    """From as many losses on, under the same suffix."""
    source = SOURCES["include/lane_names"]

    assert re.findall(r"^local ALONE_LOSSES = (\d+)$", source, re.MULTILINE) == [str(ALONE_LOSSES)]
    assert re.findall(r"^local ALONE = '(.*)'$", source, re.MULTILINE) == [ALONE]


@pytest.mark.parametrize("name", names())
def test_the_bound_of_a_script_is_the_longest_batch(name: str) -> None:
    """A settle has more to check of each row, so that its batches are shorter. So are those of a renewal."""
    rows = {"settle": MAX_SETTLE_BATCH, "renew_owned": RENEWED_AT_ONCE}.get(name, MAX_BATCH)
    most = {"rows": rows, "owners": MAX_BATCH, "count": MAX_BATCH}
    most |= dict.fromkeys(
        ("lanes", "signatures", "beginnings", "tombstones", "policies", "schedules", "scopes", "keys"), MAX_BATCH
    )
    most["told"] = 32  # of the clients that are told of an end

    assert bounds(name).items() <= most.items()


@pytest.mark.parametrize(("name", "row"), [("claim_next", ClaimedRow), ("renew_owned", RenewedRow)])
def test_a_row_has_the_fields_that_its_script_answers(name: str, row: type[ClaimedRow | RenewedRow]) -> None:
    """As many as the header names and as the code writes; what is seldom there comes beside the rows."""
    named = re.findall(r"-- reply   .*? \((.*?)\) x rows", SOURCES[name])[0]
    written = re.findall(r"reply\[n \+ (\d)\]", SOURCES[name] + SOURCES["include/claim_batch"] * (name == "claim_next"))

    fields = len(row.__struct_fields__) - (name == "claim_next")

    assert len(named.split(", ")) == len(written) == fields


def test_a_worker_calls_before_it_counts_as_gone() -> None:
    """Who waits for work and who lives is told by the same minute, also with the slowest poll."""
    assert re.findall(r"^local IDLE_MS = (\d+)$", SOURCES["include/claim_batch"], re.MULTILINE) == [str(LIVING_MS)]
    assert MOST_MS * (1 + Polling.spread) < LIVING_MS
    assert MOST_MS * (1 + Looking.spread) < LIVING_MS


def test_the_connections_of_the_headers_are_those_that_are_opened() -> None:
    """Each kind carries some script."""
    assert set(CONNECTIONS) == set(WIDTHS) == {script.connections for script in load_all().values()}


def test_the_table_of_keys_is_the_data_dictionary() -> None:
    """The same keys with the same types; in the table a name follows a colon."""
    table = re.findall(r"^``K:([\w:]+?)(?:<[\w ]+>)?`` +(\w+)  ", str(keys.__doc__), re.MULTILINE)

    assert dict(table) == {key: kind for key, (kind, _) in keys.DATA_DICTIONARY.items()}
    assert len(table) == len(keys.DATA_DICTIONARY)
