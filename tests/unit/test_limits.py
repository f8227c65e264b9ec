"""What a task may declare of keys and limits, and what one call has for them."""

from __future__ import annotations

from typing import Any

import pytest

from lash_redis.app.lash import Lash
from lash_redis.core.errors import PayloadError, SettingsError
from lash_redis.core.policies import Policy
from lash_redis.operate.limits import in_words
from lash_redis.registry.policy_states import PolicyState, stored_policy


@pytest.fixture
def lash() -> Lash:
    """Return a Lash that makes no call."""
    return Lash("redis://nowhere")


def task(lash: Lash, **options: Any) -> Any:
    """Declare a task."""

    @lash.task(recovery="rerunnable", name="import", **options)
    def run(tenant: str = "public", pages: int = 1) -> None:
        """Do nothing."""

    return run


@pytest.mark.parametrize(
    ("options", "scopes", "key"),
    [
        ({}, "", None),
        ({"key": "tenant"}, ",", "t1"),
        ({"key": "tenant", "fair": True}, ",", "t1"),
        ({"limit": 3}, "=import,", ""),
        ({"key": "tenant", "limit": 3}, "=import,", "t1"),
        ({"within": Policy("api", False, 3)}, ",api", ""),
        ({"within": Policy("api", True, 3), "key": "tenant"}, "api,", "t1"),
        ({"within": Policy("api", False, 3), "key": "tenant", "limit": 2}, "=import,api", "t1"),
        ({"within": Policy("api", True, 3), "key": "tenant", "fair": True}, "api,", "t1"),
    ],
)
def test_a_registration_names_what_it_passes(lash: Lash, options: Any, scopes: str, key: str | None) -> None:
    """Sentence 6: the policy by key is asked first, then the one that all keys share; a plain task names nothing."""
    registration = task(lash, **options).registration(("t1",), {})

    assert (registration.scopes, registration.key) == (scopes, key)


def test_a_default_is_a_key_too_and_a_submit_may_give_another(lash: Lash) -> None:
    """And an integer counts as text."""
    run = task(lash, key="tenant", limit=9, cost="pages")

    assert run.registration((), {}).key == "public"
    assert run.options(key="vip").registration((), {"pages": 4}).cost == 4
    assert run.options(key="vip").registration(("t",), {}).key == "vip"
    assert task(Lash("redis://nowhere"), key="pages", fair=True).registration(("t", 7), {}).key == "7"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "customer"}, r"key to be the name of a parameter .*tenant, pages.*, got 'customer'"),
        ({"cost": "pages"}, "limit that its cost counts in"),
        ({"cost": 2, "rate": (5, 1)}, "limit that its cost counts in"),
        ({"cost": 4, "limit": 3}, "cost to be at most 3, the limit of task 'import', got 4"),
        ({"limit": 0}, "limit to be an integer from 1"),
        ({"rate": 5}, "rate to be .*seconds"),
        ({"rate": (0, 5)}, "the starts of rate"),
        ({"key": "tenant", "fair": "yes"}, "expected fair to be True or False, got 'yes'"),
        ({"key": "tenant", "revision": 2}, "limit= or rate= beside its revision, got revision=2 alone"),
        ({"within": Policy("api", True, 3), "revision": 2}, "limit= or rate= beside its revision"),
        ({"within": "api"}, r"within to be one limit, of lash.limit"),
        ({"key": "tenant", "limit": 1, "within": Policy("api", True, 3)}, "both|by key too"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_declared(lash: Lash, options: Any, message: str) -> None:
    """With the value, what is allowed and the reason."""
    with pytest.raises(SettingsError, match=message):
        task(lash, **options)


def test_a_submit_without_a_key_is_refused_where_one_is_needed(lash: Lash) -> None:
    """Sentence 9; and one with a key where there is none."""
    needs = task(lash, fair=True)
    with pytest.raises(SettingsError, match="needs a key"):
        needs.registration((), {})
    assert needs.options(key="t").registration((), {}).key == "t"
    with pytest.raises(SettingsError, match="no key"):
        task(Lash("redis://nowhere"), limit=1).options(key="t").registration((), {})
    with pytest.raises(PayloadError, match="pages is the cost"):
        task(Lash("redis://nowhere"), limit=1, cost="pages").registration((), {"pages": 0})


def test_a_limit_is_declared_once_with_each_revision(lash: Lash) -> None:
    """Otherwise it is said which revision to raise."""
    lash.limit("api", limit=3)
    lash.limit("api", limit=3)

    with pytest.raises(SettingsError, match="raise the revision"):
        lash.limit("api", limit=4)
    assert lash.limit("api", limit=4, rate=(9, 60), revision=2).text == "4 at once and 9 in 60 s"
    with pytest.raises(SettingsError, match="limit= or rate="):
        lash.limit("nothing")
    with pytest.raises(SettingsError, match="expected keyed to be True or False, got 'yes'"):
        lash.limit("other", limit=4, keyed="yes")  # type: ignore[arg-type]


def test_what_a_newer_release_stores_behind_a_policy_is_left_to_it() -> None:
    """A sixth part would make every submit of that task fail."""
    expected = Policy("a", keyed=True, limit=20, starts=500, window_ms=60_000, revision=3)
    assert stored_policy("a", "3 1 20 500 60000 later") == expected


def test_a_limit_is_said_in_words_with_its_numbers() -> None:
    """One of something is not several."""
    policy = Policy("a", keyed=True, limit=2, starts=0, window_ms=0, revision=1)
    one = PolicyState(policy, taken=0, waiting=1, running_keys=1, parked_keys=0)
    more = PolicyState(policy, taken=0, waiting=3, running_keys=1, parked_keys=1)
    assert "; 1 waits of 1 key, 0 of them parked (" in in_words(one)
    assert "; 3 wait of 2 keys, 1 of them parked (" in in_words(more)
