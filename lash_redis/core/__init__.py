"""The words of the product and the decisions that need no I/O. It imports none of the other packages."""
