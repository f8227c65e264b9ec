"""The Redis-backed store of processes and leases. Only this package speaks to Redis, but for ``embedded``'s pings."""
