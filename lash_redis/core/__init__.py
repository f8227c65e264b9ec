"""The words of the product and the decisions that need no I/O. Imports nothing from the other rooms."""
