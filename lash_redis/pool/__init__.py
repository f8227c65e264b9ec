"""The pool: a supervisor and its worker processes. It alone owns OS processes and signals.

The supervisor never imports user code, so that no code of a user's can stop it from renewing leases, reaping and
draining. What it and its worker processes say to each other is in ``messages``.
"""
