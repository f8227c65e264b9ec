"""Whatever stands in a field of a public struct is refused at the door, or carried so that everybody can read it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

import fakeredis
import msgspec
import pytest

import lash_redis
from lash_redis import (
    Abandoned,
    AbandonEvidence,
    AbandonRequest,
    AbandonWriter,
    Cancelled,
    CancelRequest,
    ExternalInput,
    ExternalOwner,
    Failure,
    LeaseOwner,
    LocalProcess,
    Opaque,
    PauseRequest,
    PayloadError,
    ProcessLease,
    ProcessRegistration,
    ProcessRegistry,
    ProcessStarted,
    QueueBound,
    Resolution,
    ResolutionKind,
    ScheduleDeclaration,
    ScheduleRule,
    SettingsError,
    Success,
    TaskInput,
    Unique,
)
from lash_redis.core.errors import RegistryError
from tests.conformance.actors import ADA, LONG_MS, RERUNNABLE, outside, settled, work

REFUSALS: Final = (SettingsError, PayloadError, RegistryError)
SURROGATE: Final = "\ud800"
VALUES: Final[list[Any]] = [
    None, 0, -1, 1.5, True, 2**70, "", "a|b", "é", SURROGATE, "x" * 300, b"a", [], {}, ("a",), {("k",): 1}, {1: 2},
    object(), int, ADA, msgspec.Raw(b""), msgspec.Raw(b"\xc1"), msgspec.Raw(b"\x01\x02"),
]  # fmt: skip

# What calls answer with; and Opaque, which has no field, and Retries, which no call takes.
ANSWERS: Final = {
    "Acquired", "BulkReport", "Busy", "CurrentProcess", "Deferred", "DrainReport", "Opaque", "Policy", "ProcessOptions",
    "ProcessRecord", "PruneReport", "SubmitOptions", "RecordPage", "ServerInfo", "SweepReport", "WorkerSettings",
    "Retries", "BoundedQueue", "Member", "Paused", "Schedule",
}  # fmt: skip
EVIDENCE: Final = AbandonEvidence(AbandonWriter.SWEEP, ADA, 1)
LEASE: Final = ProcessLease("p", ADA, "token", 1, 0, 0)
RULE: Final = ScheduleRule("every 1000")
DESK: Final = ExternalOwner("desk")
WHOLE: Final[list[msgspec.Struct]] = [
    LeaseOwner("o", "i", Opaque()),
    LocalProcess("host", "boot", 1, "2"),
    TaskInput("work"),
    ExternalInput(),
    work("q"),
    Success(),
    Failure("no"),
    Cancelled(),
    EVIDENCE,
    Abandoned(EVIDENCE),
    LEASE,
    ProcessStarted(ADA, 1),
    AbandonRequest("ops", 1),
    CancelRequest("ops", 1),
    DESK,
    Resolution(ResolutionKind.HAPPENED, "ops", 1),
    PauseRequest("ops", 1),
    QueueBound("mail", 100),
    Unique(key="k"),
    RULE,
    ScheduleDeclaration("nightly", 1, RULE, work("nightly"), {}, "shop.py:3"),
]


def wrong(value: Any) -> Any:
    """Return a value of another type than is declared, past the type checker."""
    return value


Calls = list[Callable[[], Coroutine[Any, Any, Any]]]


def calls_with(kind: type, value: Any, to: ProcessRegistry) -> Calls:
    """Return the calls of the registry that take such a value, or what stands in its place."""
    if kind is LeaseOwner:
        return [
            lambda: to.claim("p", value, LONG_MS),
            lambda: to.reclaim("p", value, LEASE, LONG_MS),
            lambda: to.reclaim("p", ADA, ProcessLease("p", value, "token", 1, 0, 0), LONG_MS),
            lambda: to.start(ProcessLease("p", value, "token", 1, 0, 0)),
            lambda: to.release(ProcessLease("p", value, "token", 1, 0, 0)),
            lambda: to.record_first_started("p", ProcessStarted(value, 1)),
        ]
    if kind is LocalProcess:
        return [lambda: to.claim("p", LeaseOwner("o", "i", value), LONG_MS)]
    if kind in (TaskInput, ExternalInput):
        return [lambda: to.register(ProcessRegistration("q", value, RERUNNABLE))]
    if kind is ProcessRegistration:
        return [lambda: to.register(value), lambda: to.register_many([value])]
    if kind is AbandonEvidence:
        return [lambda: to.complete(LEASE, Abandoned(value))]
    if kind in (Success, Failure, Cancelled, Abandoned):
        return [lambda: to.complete(LEASE, value), lambda: to.complete_unleased("e", value, DESK)]
    if kind is ProcessLease:
        return [
            lambda: to.start(value),
            lambda: to.renew(value, LONG_MS),
            lambda: to.release(value),
            lambda: to.unstart_many([value]),
            lambda: to.complete(value, Success()),
            lambda: to.reclaim("p", ADA, value, LONG_MS),
        ]
    calls: dict[type, Calls] = {
        ProcessStarted: [lambda: to.record_first_started("p", value)],
        AbandonRequest: [lambda: to.request_abandon("p", value)],
        CancelRequest: [lambda: to.request_cancel("p", value)],
        Resolution: [lambda: to.resolve("lost", value)],
        ExternalOwner: [lambda: to.complete_unleased("e", Success(), value)],
        PauseRequest: [lambda: to.pause(value, queue="mail")],
        QueueBound: [lambda: to.bound_queue(value)],
        Unique: [lambda: to.register(work("k::u", unique=value)), lambda: to.register(work("k::v", unique=value))],
        ScheduleRule: [lambda: to.declare_schedules([ScheduleDeclaration("n", 1, value, work("n"), {}, "shop.py:3")])],
        ScheduleDeclaration: [lambda: to.declare_schedules([value])],
    }
    return calls[kind]


async def told(call: Callable[[], Any]) -> None:
    """Make a call that is answered, or refused in our words."""
    try:
        await call()
    except REFUSALS as error:
        assert "utf-8" not in str(error)  # noqa: PT017 - it need not raise
        assert "msgspec" not in str(error).replace("msgspec.Raw", "")  # noqa: PT017


@pytest.mark.parametrize("partitions", [1, 2])
@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: type(whole).__name__)
async def test_no_field_holds_what_nobody_can_read(whole: msgspec.Struct, partitions: int) -> None:
    """Neither the constructor nor a call raises anything else, and afterwards every row can be read."""
    client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    registry = ProcessRegistry(client, "fields", partitions)
    await registry.register_many([work("p"), outside("e"), outside("lost")])
    await registry.request_abandon("lost", AbandonRequest("ops", 1))
    assert await settled(registry, "lost", "fact", Abandoned(EVIDENCE))
    kind = type(whole)
    for field in (*whole.__struct_fields__, None):
        for value in VALUES:
            try:
                made = value if field is None else kind(**{**msgspec.structs.asdict(whole), field: value})
            except (SettingsError, PayloadError) as error:
                assert ", got " in str(error)  # noqa: PT017 - it need not raise
                continue
            for call in calls_with(kind, made, registry):
                await told(call)
            for id_ in ("p", "e", "q", "lost", "k::u"):
                await registry.get(id_)
            await registry.pauses()
            await registry.bounds()
            await registry.all_schedules()
    await registry.aclose()
    await client.aclose()


def test_every_public_struct_that_a_program_constructs_is_tried() -> None:
    """The others are answers: a program reads them."""
    named = [getattr(lash_redis, name) for name in lash_redis.__all__]
    public = {each for each in named if isinstance(each, type) and issubclass(each, msgspec.Struct)}

    assert {each.__name__ for each in public} - {type(whole).__name__ for whole in WHOLE} == ANSWERS


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: LeaseOwner("me", "i", wrong("opaque")),
            "liveness of LeaseOwner to be an Opaque or a LocalProcess, got 'opa",
        ),
        (lambda: work(signature="a|b"), "signature to be 16 hex digits, or empty, got 'a|b'"),
        (lambda: outside(granted_to=SURROGATE), "granted_to to be text that UTF-8 can hold"),
        (lambda: ExternalOwner(f"ab{SURROGATE}"), "a surrogate at character 2"),
        (lambda: CancelRequest("ops", 1, SURROGATE), "reason to be text that UTF-8 can hold"),
        (lambda: AbandonRequest(SURROGATE, 1), r"by \(requested_by\) to be text that UTF-8 can hold"),
        (lambda: TaskInput("work", wrong("ab")), "args of TaskInput to be a tuple, got 'ab'"),
        (lambda: TaskInput("work", (), wrong({1: 2})), "the names in kwargs to be text, got 1"),
        (lambda: ExternalInput(wrong([1])), r"metadata of ExternalInput to be a dict, got \[1\]"),
        (lambda: ProcessStarted(wrong("ada"), 1), "owner of ProcessStarted to be a LeaseOwner, got 'ada'"),
        (lambda: Failure(wrong(7)), "code of Failure to be text, got 7"),
        (lambda: Cancelled(wrong(7)), "reason of Cancelled to be text or None, got 7"),
        (lambda: LocalProcess("h", SURROGATE, 1, "1"), "boot_id to be text that UTF-8 can hold"),
        (lambda: LocalProcess("h", "b", True, "1"), "pid of LocalProcess to be an integer of 64 bits, got True"),
    ],
)
def test_a_refusal_names_the_field_the_value_and_what_is_allowed(make: Callable[[], Any], says: str) -> None:
    """So that nobody has to look for it."""
    with pytest.raises(SettingsError, match=says):
        make()


@pytest.mark.parametrize(
    "value", [msgspec.Raw(b"\xc1"), msgspec.Raw(b""), {Opaque(): 1}], ids=["no value", "nothing", "an owner as a key"]
)
async def test_what_could_not_be_read_again_is_refused(value: Any) -> None:
    """Encoding it succeeds, or may; every worker that claims it would fail."""
    registry = ProcessRegistry(fakeredis.FakeAsyncRedis(), "raw")
    with pytest.raises(PayloadError, match="the input of process 'p' cannot be carried"):
        await registry.register(work("p", RERUNNABLE, value))
    with pytest.raises(PayloadError, match="the result cannot be carried"):
        await registry.complete(LEASE, Success(value))
    await registry.aclose()
