"""The names of the tricks of a hostile server; what each does: ``hostile.py``."""

from typing import Literal

Trick = Literal[
    "redirect",
    "foreign_links",
    "moving_cursor",
    "repeated_pages",
    "absurd_counts",
    "climbing_names",
    "terabyte",
    "endless_body",
    "gzip_bomb",
    "slow_body",
    "year_long_wait",
    "never_authorized",
    "huge_token",
    "echo",
]
