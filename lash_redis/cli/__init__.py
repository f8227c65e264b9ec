"""The command line: arguments, text for people, exit codes. Nothing imports it."""
