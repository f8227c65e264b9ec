"""The main job of ``scripts/run``: real work, two faults that must hit, and a report that is checked."""
