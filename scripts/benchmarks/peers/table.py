"""The peers: what each needs, and how the harness drives it. The one table of pinned versions."""

from __future__ import annotations

from dataclasses import dataclass

# What every Python peer gets besides: the fastest parser that its client can use, and the fastest event loop.
_FAST = ("hiredis==3.5.0", "uvloop==0.23.0")
_PLAIN = ("redis==8.1.0", "hiredis==3.5.0")
_CELERY = ("celery[redis]==5.7.0", "kombu==5.7.0", *_PLAIN)


@dataclass(frozen=True)
class Peer:
    """One queue.

    Attributes:
        name: as the report shows it.
        module: of ``benchmarks.peers``, or the name of its ``.mjs``.
        packages: what its environment is made of. None: the environment that runs the bench.
        task: the no-op that its drain runs: ``async``, or ``plain`` if it has no coroutines.
        concurrency: how many at a time in the drain that all peers share.
        best: how many at a time suit it best, if that is another number.
        rows: how many rows a drain has at most; None: as many as it drains in some seconds.
        is_compared: it has drains at its best and with two workers too, and on each server that the machine has.
        is_quick: part of ``scripts/bench --quick``.
        options: more arguments of its worker.
        waits: more arguments of its worker where clients wait for outcomes.
    """

    name: str
    module: str
    packages: tuple[str, ...] | None
    task: str = "async"
    concurrency: int = 64
    best: int | None = None
    rows: int | None = None
    is_compared: bool = False
    is_quick: bool = False
    options: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()

    @property
    def is_node(self) -> bool:
        """True if it runs on Node.js."""
        return self.module.endswith(".mjs")


PEERS = (
    Peer("lash-redis", "lash", None, best=256, rows=100_000, is_compared=True, is_quick=True),
    Peer(
        "BullMQ",
        "bullmq.mjs",
        ("bullmq@5.81.5", "ioredis@5.11.1"),
        best=128,
        rows=100_000,
        is_compared=True,
        is_quick=True,
    ),
    Peer("bee-queue", "bee_queue.mjs", ("bee-queue@2.0.0",), best=256, rows=100_000, is_compared=True),
    Peer("bee-queue, results stored", "bee_queue.mjs", ("bee-queue@2.0.0",), best=256, options=("--results",)),
    Peer("SAQ", "saq", ("saq[redis]==0.26.4", "redis==7.4.1", "typing-extensions==4.16.0", *_FAST), is_quick=True),
    Peer("streaQ", "streaq", ("streaq==7.2.0", "coredis==6.9.0", *_FAST)),
    Peer("taskiq", "taskiq", ("taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0", *_FAST)),
    Peer("arq", "arq", ("arq==0.28.0", "redis==5.3.1", *_FAST)),
    Peer("Huey", "huey", ("huey==3.5.4", *_PLAIN), "plain", 8, is_quick=True, waits=("--waited",)),
    Peer("Dramatiq", "dramatiq", ("dramatiq[redis]==2.2.1", *_PLAIN), "plain", 8),
    Peer("RQ", "rq", ("rq==3.0.0", *_PLAIN), "plain", 1),
    Peer("Celery threads", "celery", _CELERY, "plain", 8),
    Peer("Celery prefork", "celery", _CELERY, "plain", 2, options=("--pool", "prefork")),
)


def peer(name: str) -> Peer:
    """Return the peer of that name."""
    return next(each for each in PEERS if each.name == name)
