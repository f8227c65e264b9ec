"""What operators see and ask for, as data. Every user interface uses this package: the command line, a web page.

``connect`` opens the registry. ``counts``, ``explain``, ``requests`` and ``pruning`` each have functions that read or
ask and return a struct, and a function that returns the struct as a *view*: plain data of dicts, lists, texts and
numbers.
``row_views`` shows a row, and ``serving`` says why one waits.

The keys of a view are an interface: a key may be added, and none is renamed or left out. A moment ends in ``_ms`` and
is by the server's clock, except the moments of requests, which are by the clock of whoever asked. An ``owner`` is a
dict of ``owner_id``, ``incarnation_id`` and ``liveness``.
"""
