"""The Redis-backed store of processes and leases. Nobody else touches Redis (but the embedded server's ping)."""
