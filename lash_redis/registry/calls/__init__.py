"""One operation a transition or a bounded read, as functions from arguments to calls. Pure: nothing here does I/O."""
