"""The pool: a supervisor and its worker processes. No other package starts OS processes that run tasks.

It handles the signals that ask a pool to end. (The only other signals that lash-redis handles are those that the
embedded server's guardian ignores.)

The supervisor never imports user code. So no user code can keep it from renewing leases, reaping and draining. The
messages between the supervisor and its worker processes are in ``messages``.
"""
