"""Twelve hours of a day's schedule in minutes, under faults: ``make soak``."""
