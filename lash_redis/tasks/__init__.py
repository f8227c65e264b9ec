"""What a task is and what it can be called with. No I/O; imports only core."""
