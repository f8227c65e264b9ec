"""One worker: claim, run, keep leases, write what came of it, recover, drain. Uses the registry, never Redis itself."""
