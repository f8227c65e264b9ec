"""What a worker does again and again: one loop a file, each with one ``step`` that a test can call."""
