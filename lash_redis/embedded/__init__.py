"""The embedded server: a Valkey of the project's own, shared by all OS processes that are started from the project.

Without a URL and without ``$LASH_REDIS_URL`` a program uses it. ``connect`` is what such a program calls. ``guardian``
is the OS process that owns the server, and ``launch`` starts it. ``server`` knows the binary, ``locks`` the file locks,
and ``folders`` where the files lie. This package knows nothing of processes, leases or scripts: it returns a URL.
"""
