"""The pool: a supervisor and its worker processes. No other package starts OS processes for work or handles signals.

The supervisor never imports user code. So no user code can keep it from renewing leases, reaping and draining. The
messages between the supervisor and its worker processes are in ``messages``.
"""
