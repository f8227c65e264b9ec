"""The embedded server: a real Valkey of the project's own, shared by everything that is started from it.

No URL and no ``$LASH_REDIS_URL`` lead here (design, section 7). ``connect`` is the door; ``guardian`` is the OS process
behind it; ``server`` knows the binary, ``locks`` the file locks that are all the coordination there is, and
``project`` where everything lies. This room knows nothing of processes, leases or scripts: it gives a URL.
"""
