"""Recovery: rows and proofs become verdicts, verdicts become settled rows. Workers, pools and operators share it."""
