"""Runs of a complete Airflow that take minutes; each is a program, none is part of ``make test``."""
