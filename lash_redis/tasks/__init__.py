"""What a task is and what it can be called with. This package does no I/O and imports only ``core``."""
