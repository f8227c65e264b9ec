"""The public classes for people who write tasks: declare, submit, wait. Async, and blocking under the same names."""
