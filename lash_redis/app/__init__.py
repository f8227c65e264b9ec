"""The door for people who write tasks: declare, submit, wait. Async, and the same names for plain code."""
