"""Other queues and lash-redis, each driven by one program of its own, so that all do the same work in one run.

A peer is one program ``peers/NAME.py`` or ``peers/NAME.mjs`` with two roles. It runs in an environment of its own
(``environments.py``), so the harness imports no library of any peer:

    PEER worker --url URL --concurrency N --identities FOLDER --task async|plain|bound
        --settings default|reliable
    PEER client --url URL

The no-op takes an identity (int) and a name (str), and returns the identity. ``async`` is a coroutine, ``plain`` runs
in N threads or OS processes, and ``bound`` is a coroutine that may not run twice. A peer that has no such task says on
its first line ``{"unsupported": "why"}`` and exits.

A worker prints ``{"ready": true}`` when it can take work. It notes each run by the 8 bytes of its identity, little
endian, at the end of a file in FOLDER that only this OS process writes (its name is the pid). They are written once 256
are there, at the latest 20 ms after the run, and at the exit; a worker that forks for each job writes at once. SIGTERM
ends it.

A client reads one command in JSON a line and answers with one line. Each answer has ``seconds`` (monotonic) and ``cpu``
(of the client's OS process, s) of the work alone, or is ``{"unsupported": "why"}``:

    {"do": "bulk", "from": 0, "count": 9, "task": "async", "named": false}
        submits no-ops with these identities, as fast as its documented way for many allows; ``named``: with ids of 20
        characters that the client chooses
    {"do": "single", "from": 0, "count": 9, "task": "async", "caller": "async"|"plain"}
        submits one after another, each answered before the next begins, from a coroutine or from plain code. With the
        caller ``raw`` or ``raw_plain`` the client of lash-redis sends, in place of each submit, the call that it is
        (``FCALL``) through redis-py alone
    {"do": "outcomes", "from": 0, "count": 9, "task": "async"}
        submits one and waits for its outcome, so many times; answers ``latencies``, ms
    {"do": "slow", "file": "/...", "seconds": 3, "task": "slow"}
        submits the slow task of ``slow.py`` and answers its ``id``; as ``slow_bound`` it may not run twice
    {"do": "read", "id": "..."}
        answers ``record``: what the peer's record of that job says, with its ``state`` and its ``result``

The docstring of a peer's module (of a ``.mjs`` the comment at its top) says how it is set up, and why that is its best
sane configuration. The report prints it.
"""
