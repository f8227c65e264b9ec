"""Two releases of one task beside each other: a row runs on whichever can read it, and nothing else happens to it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from lash_redis.core.events import Event, WorkerLeftLane
from lash_redis.core.model import Phase, ProcessRegistration, RecoveryDisposition
from lash_redis.core.outcomes import Failure, Success
from lash_redis.core.subscribers import subscribed
from lash_redis.core.terms import Terms
from lash_redis.registry.registry import ProcessRegistry
from lash_redis.tasks.arguments import bind
from lash_redis.tasks.declaration import Declaration, declare
from tests.conformance.actors import CYD, held, settled
from tests.look import ended, is_in, outcomes, record_of
from tests.services.benches import OWNER_BOUND, RERUNNABLE
from tests.services.conftest import Crew
from tests.support import wait_until

BOTH = pytest.mark.parametrize("recovery", [RERUNNABLE, OWNER_BOUND])


class Colour(enum.Enum):
    """As it was."""

    RED = "red"


class Colours(enum.Enum):
    """As it is."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Address:
    """As it was."""

    street: str


@dataclass
class LongAddress:
    """With one field more."""

    street: str
    country: str = "FR"


@dataclass
class OtherAddress:
    """With a field of another type."""

    street: list[str]


@dataclass
class Picky:
    """A class that refuses in words of its own."""

    street: str

    def __post_init__(self) -> None:
        """Refuse everything."""
        raise RuntimeError("no such street")


class Change(msgspec.Struct, frozen=True):
    """One change of a signature.

    Attributes:
        before: the function of the old release.
        after: that of the new one.
        old: the arguments by position of a call that the old release submits.
        new: those of a call that the new one submits.
        new_reads_old: what the new release returns for the old row, or why it waits.
        old_reads_new: the same the other way round.
    """

    before: Callable[..., Any]
    after: Callable[..., Any]
    old: tuple[Any, ...]
    new: tuple[Any, ...]
    new_reads_old: Any
    old_reads_new: Any


class Waits(str):
    """Why a row waits for its own release."""

    __slots__ = ()


def text(to: str) -> Any:
    """Take a text."""
    return to


def texts(to: list[str]) -> Any:
    """Take texts."""
    return to


def text_or_texts(to: str | list[str]) -> Any:
    """Take either."""
    return to


def recipient(recipient: str) -> Any:
    """Take a text under another name."""
    return recipient


def forth(source: str, target: str) -> Any:
    """Take two."""
    return [source, target]


def back(target: str, source: str) -> Any:
    """Take them in another order."""
    return [source, target]


def with_required(to: str, subject: str) -> Any:
    """Take one more."""
    return [to, subject]


def with_default(to: str, subject: str = "news") -> Any:
    """Take one more, or not."""
    return [to, subject]


def with_middle(source: str, note: str = "none", target: str = "nobody") -> Any:
    """Take one more between the two."""
    return [source, note, target]


def with_name_only(to: str, *, subject: str) -> Any:
    """Take one more by name."""
    return [to, subject]


def colour(colour: Colour) -> Any:
    """Take a colour."""
    return colour.value


def colours(colour: Colours) -> Any:
    """Take one of more colours."""
    return colour.value


def address(address: Address) -> Any:
    """Take an object."""
    return address.street


def long_address(address: LongAddress) -> Any:
    """Take an object with a field more."""
    return [address.street, address.country]


def other_address(address: OtherAddress) -> Any:
    """Take an object with a field of another type."""
    return address.street


def picky(address: Picky) -> Any:
    """Take what is never made."""
    return address


NOT_TEXT = Waits("expected `str`, got `list`")
NOT_ARRAY = Waits("expected `list`, got `str`")
LOST = Waits("argument address.country: nothing here takes it")
MISSING = Waits("is missing")
UNEXPECTED = Waits("unexpected argument subject")

CHANGES = {
    "changed": Change(text, texts, ("ada",), (["ada"],), NOT_ARRAY, NOT_TEXT),
    "widened": Change(text, text_or_texts, ("ada",), (["ada"],), "ada", NOT_TEXT),
    "widened, readable": Change(text, text_or_texts, ("ada",), ("bob",), "ada", "bob"),
    "narrowed": Change(text_or_texts, text, (["ada"],), ("bob",), NOT_TEXT, "bob"),
    "renamed": Change(text, recipient, ("ada",), ("bob",), MISSING, MISSING),
    "reordered": Change(forth, back, ("a", "b"), ("b", "a"), ["a", "b"], ["a", "b"]),
    "added": Change(text, with_required, ("ada",), ("ada", "hi"), MISSING, UNEXPECTED),
    "added with a default": Change(text, with_default, ("ada",), ("ada", "hi"), ["ada", "news"], UNEXPECTED),
    "added with a default, not passed": Change(text, with_default, ("ada",), ("bob",), ["ada", "news"], "bob"),
    "added in the middle": Change(forth, with_middle, ("a", "b"), ("a",), ["a", "none", "b"], MISSING),
    "added by name only": Change(text, with_name_only, ("ada",), ("ada", "hi"), MISSING, UNEXPECTED),
    "removed": Change(with_required, text, ("ada", "hi"), ("bob",), UNEXPECTED, MISSING),
    "removed, with a default": Change(with_default, text, ("ada",), ("bob",), "ada", ["bob", "news"]),
    "an enum that grew": Change(
        colour, colours, ("red",), ("blue",), "red", Waits("expected one of the declared values, got 'blue'")
    ),
    "a field more": Change(
        address, long_address, ({"street": "A"},), ({"street": "B", "country": "DE"},), ["A", "FR"], LOST
    ),
    "another field": Change(address, other_address, ({"street": "A"},), ({"street": ["B"]},), NOT_ARRAY, NOT_TEXT),
}


class Release:
    """One release of the task: it submits, and its workers note what they run."""

    def __init__(self, function: Callable[..., Any], recovery: str) -> None:
        self.runs: list[Any] = []
        self._function = function
        self.task = declare(self._noting(), recovery=recovery, name="mail")

    def _noting(self) -> Callable[..., Any]:
        def mail(*args: Any, **kwargs: Any) -> Any:
            self.runs.append(args)
            return self._function(*args, **kwargs)

        mail.__wrapped__ = self._function  # type: ignore[attr-defined]  # its signature
        return mail

    async def submit(self, registry: ProcessRegistry, process_id: str, *args: Any, **kwargs: Any) -> None:
        """Register one call as a program of this release does."""
        declaration: Declaration = self.task
        if isinstance(args[0], str) and "to" not in kwargs and self._function is with_name_only:
            args, kwargs = args[:1], {"subject": args[1]}
        call = bind(declaration, [*map(_built, args)], kwargs)
        signature = declaration.signature
        registration = ProcessRegistration(process_id, call, declaration.disposition, signature=signature.digest)
        await registry.submit_many([registration], Terms(signature.named))


def _built(argument: Any) -> Any:
    if isinstance(argument, dict):
        if "country" in argument:
            return LongAddress(**argument)
        return (OtherAddress if isinstance(argument["street"], list) else Address)(**argument)
    return {"red": Colour.RED, "blue": Colours.BLUE}.get(argument, argument) if isinstance(argument, str) else argument


async def is_as_new(registry: ProcessRegistry, process_id: str) -> None:
    """Wait until a row is queued, and assert that nothing tells that it ever was claimed."""
    record = await is_in(registry, process_id, Phase.QUEUED)
    assert (record.first_started, record.losses, record.outcome) == (None, 0, None)


@BOTH
@pytest.mark.parametrize("backend", ["valkey"], indirect=True)  # what is read is Python's affair, and no server's
@pytest.mark.parametrize("name", CHANGES)
async def test_a_row_runs_on_whichever_release_can_read_it(
    registry: ProcessRegistry, crew: Crew, name: str, recovery: str
) -> None:
    """In both directions of a deploy. Where the other release cannot, the row waits for its own, as if untouched."""
    change = CHANGES[name]
    old, new = Release(change.before, recovery), Release(change.after, recovery)
    for writer, args, reader, expected in (
        (old, change.old, new, change.new_reads_old),
        (new, change.new, old, change.old_reads_new),
    ):
        id_ = "by-old" if writer is old else "by-new"
        await writer.submit(registry, id_, *args)
        heard: list[Event] = []
        with subscribed(heard.append):
            await crew.worker(reader.task).drive_pending()
        left = [event for event in heard if isinstance(event, WorkerLeftLane)]
        if isinstance(expected, Waits):
            await is_as_new(registry, id_)
            assert [expected in event.reason for event in left] == [True], left
            await crew.worker(writer.task).drive_pending()
        else:
            assert (await record_of(registry, id_)).outcome == Success(expected)
            assert not left
        assert isinstance((await record_of(registry, id_)).outcome, Success)
    assert len(old.runs) + len(new.runs) == 2


@BOTH
async def test_a_rolling_deploy_loses_and_fails_nothing(registry: ProcessRegistry, crew: Crew, recovery: str) -> None:
    """Rows are queued before it, during it and after it; each runs once, where it can be read."""
    old, new = Release(text, recovery), Release(text_or_texts, recovery)
    readers = [f"old-{number}" for number in range(6)]
    others = [f"new-{number}" for number in range(4)]
    given_back: list[str] = []
    leaving = crew.worker(old.task)
    _note_unstarts(leaving.registry, given_back)
    await old.submit(registry, readers[0], "a")
    async with crew.running(leaving):
        await new.submit(registry, others[0], ["b"])
        await old.submit(registry, readers[1], "a")
        await outcomes(registry, *readers[:2])
        await wait_until(lambda: others[0] in given_back, "the worker has tried what it cannot read")
        await is_as_new(registry, others[0])
        async with crew.running(crew.worker(new.task)):
            await new.submit(registry, others[1], ["b"])
            await old.submit(registry, readers[2], "a")
            await outcomes(registry, *others[:2], readers[2])
            await leaving.drain()
            for id_ in readers[3:]:
                await old.submit(registry, id_, "a")
            for id_ in others[2:]:
                await new.submit(registry, id_, ["b"])
            found = await outcomes(registry, *readers, *others)
    assert found == [Success("a")] * 6 + [Success(["b"])] * 4
    assert Counter(map(str, old.runs + new.runs)) == {"('a',)": 6, "(['b'],)": 4}


async def test_what_no_worker_can_read_is_claimed_once_by_each(registry: ProcessRegistry, crew: Crew) -> None:
    """Nobody spins on it, however often they poll, are woken and drain; and its neighbours run."""
    old, new = Release(texts, RERUNNABLE), Release(text, RERUNNABLE)
    workers = [crew.worker(new.task, poll_ms=50, sweep_ms=50) for _ in range(3)]
    given_back: list[str] = []
    for worker in workers:
        _note_unstarts(worker.registry, given_back)
    await old.submit(registry, "stuck", ["a"])
    heard: list[Event] = []
    with subscribed(heard.append):
        async with crew.running(workers[0]), crew.running(workers[1]), crew.running(workers[2]):
            await wait_until(lambda: len(given_back) == 3, "each has tried")
            for number in range(20):
                await new.submit(registry, f"fine-{number}", "b")
            await outcomes(registry, *(f"fine-{number}" for number in range(20)))
    assert given_back == ["stuck"] * 3
    left = [event for event in heard if isinstance(event, WorkerLeftLane)]
    assert [(event.task, event.queue, event.process_id) for event in left] == [("mail", "default", "stuck")] * 3
    assert {event.signature for event in left} == {old.task.signature.digest}
    await is_as_new(registry, "stuck")


def _note_unstarts(registry: ProcessRegistry, ids: list[str]) -> None:
    unstart_many = registry.unstart_many

    async def noted(leases: Any, **options: Any) -> Any:
        ids.extend(lease.process_id for lease in leases)
        return await unstart_many(leases, **options)

    registry.unstart_many = noted  # type: ignore[method-assign]


async def test_a_wake_up_for_another_signature_is_enough(registry: ProcessRegistry, crew: Crew) -> None:
    """A worker at rest runs what a program of another release submits, without waiting for a poll."""
    old, new = Release(forth, RERUNNABLE), Release(back, RERUNNABLE)
    async with crew.running(crew.worker(new.task)) as worker:
        await crew.at_rest(worker)
        await old.submit(registry, "p", "a", "b")
        assert (await ended(registry, "p")).outcome == Success(["a", "b"])


async def test_what_filled_another_lane_while_one_was_looked_at_is_found(registry: ProcessRegistry, crew: Crew) -> None:
    """Only the first of two registrations wakes the worker: for the second no worker is idle."""
    stuck, old, new = Release(texts, RERUNNABLE), Release(forth, RERUNNABLE), Release(back, RERUNNABLE)
    async with crew.running(crew.worker(new.task)) as worker:
        await crew.at_rest(worker)
        await stuck.submit(registry, "a::stuck", ["a"])
        await old.submit(registry, "a::p", "a", "b")
        assert (await ended(registry, "a::p")).outcome == Success(["a", "b"])


@pytest.mark.parametrize("ours", [back, text])
async def test_work_that_runs_alone_is_read_by_other_releases_too(
    registry: ProcessRegistry, crew: Crew, ours: Callable[..., Any]
) -> None:
    """It has lost two owners, and stands in a lane of its own. Being given back whole is no third loss."""
    old, new = Release(forth, RERUNNABLE), Release(ours, RERUNNABLE)
    await old.submit(registry, "p", "a", "b")
    for _ in range(2):
        await registry.start(await held(registry, "p", CYD))
        assert await settled(registry, "p", "queue", even_if_live=True)
    worker = crew.worker(new.task)
    for _ in range(3):
        await worker.drive_pending()
    record = await record_of(registry, "p")
    assert record.losses == 2
    assert (record.phase, record.outcome) == ((None, Success(["a", "b"])) if ours is back else (Phase.QUEUED, None))


async def test_what_a_class_raises_as_it_is_rebuilt_is_no_failure_of_another_release(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """Of the worker's own signature it is one: no other release will read it otherwise."""
    old, new = Release(address, RERUNNABLE), Release(picky, RERUNNABLE)
    fields = Release(long_address, RERUNNABLE)
    await fields.submit(registry, "other", {"street": "A"})
    await old.submit(registry, "own", {"street": "A"})  # an address and a picky one have the same text
    await crew.worker(new.task).drive_pending()
    await is_as_new(registry, "other")
    outcome = (await ended(registry, "own")).outcome
    assert isinstance(outcome, Failure)
    assert outcome.code == "undecodable"
    assert "no such street" in outcome.message


async def test_a_signature_without_trailing_defaults_is_another_release(registry: ProcessRegistry, crew: Crew) -> None:
    """Its rows are claimed as one's own; what does not fit goes back to them."""
    now = Release(with_default, RERUNNABLE)
    digest = now.task.signature.served[1]
    call = bind(Release(texts, RERUNNABLE).task, [["a"]], {})
    await registry.register(
        ProcessRegistration("p", call, RecoveryDisposition.RERUNNABLE, signature=digest)
    )  # as a class of the same text does whose instances are refused here
    await crew.worker(now.task).drive_pending()
    await is_as_new(registry, "p")


async def test_a_signature_that_nobody_has_named_is_named_by_its_own_workers(
    registry: ProcessRegistry, crew: Crew
) -> None:
    """The write of a client may be lost in a failover. Until then its rows are no other release's."""
    old, new = Release(forth, RERUNNABLE), Release(back, RERUNNABLE)
    signature = old.task.signature
    call = bind(old.task, ["a", "b"], {})
    await registry.register(ProcessRegistration("p", call, RecoveryDisposition.RERUNNABLE, signature=signature.digest))
    worker = crew.worker(new.task)
    await worker.drive_pending()
    await is_as_new(registry, "p")
    owner = crew.worker(old.task)
    await owner.registry.open()
    await owner.probe.looking.step()
    await worker.drive_pending()
    assert (await record_of(registry, "p")).outcome == Success(["a", "b"])
    assert not old.runs


async def test_a_worker_whose_hands_are_full_looks_too(registry: ProcessRegistry, crew: Crew) -> None:
    """It claims nothing, and still the partitions know that it lives, and it knows what it could run."""
    old, new = Release(forth, RERUNNABLE), Release(back, RERUNNABLE)
    worker = crew.worker(new.task, concurrency=1)
    await worker.registry.open()
    worker.probe.claiming.pause(RuntimeError("no room"))  # type: ignore[arg-type]
    await old.submit(registry, "p", "a", "b")
    await worker.probe.looking.step()
    assert worker.probe.in_flight.serves(f"default|mail|{old.task.signature.digest}")
    assert worker.probe.in_flight.serves(f"default|mail|{old.task.signature.digest}|alone")


@BOTH
async def test_what_was_submitted_under_a_former_name_runs_as_the_renamed_task(
    registry: ProcessRegistry, crew: Crew, recovery: str
) -> None:
    """With its own signature and with another release's, and its rows keep their name."""
    ran: list[str] = []

    def charge(order: str) -> str:
        return order

    def pay(order: str, currency: str = "EUR") -> str:
        ran.append(f"{order} {currency}")
        return order

    old = declare(charge, recovery=recovery, name="shop.charge")
    new = declare(pay, recovery=recovery, name="pay", aliases=["shop.charge"])
    for process_id, release in (("old", old), ("new", new)):
        call = bind(release, [process_id], {})
        signature = release.signature
        registration = ProcessRegistration(process_id, call, release.disposition, signature=signature.digest)
        await registry.submit_many([registration], Terms(signature.named))

    async with crew.running(crew.worker(new, registry=registry)):
        await ended(registry, "old")
        await ended(registry, "new")

    assert sorted(ran) == ["new EUR", "old EUR"]
    assert (await record_of(registry, "old")).input.task == "shop.charge"  # type: ignore[union-attr]
