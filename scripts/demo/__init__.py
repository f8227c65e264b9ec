"""The demo of ``scripts/run``: real work, two faults, and a report that checks the result."""
