"""Operations: one function for each transition and each bounded read. Pure: nothing here does I/O."""
