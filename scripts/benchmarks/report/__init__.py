"""The report: the goals, the tables and the pictures, made of what the parts of the bench have kept."""
