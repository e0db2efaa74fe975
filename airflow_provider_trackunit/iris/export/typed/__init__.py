"""Records as typed columns: which there are, where a record has them, and values that are checked and never guessed.

What knows a file format stays outside.
"""
