"""The Redis-backed store of processes and leases.

Only this package speaks to Redis, except that ``embedded`` sends PING and SHUTDOWN to its own server.
"""
