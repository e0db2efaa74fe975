"""What is done with whole columns of any of the tables: one row per key, and flags. Knows nothing of machines."""
