"""Runs of a real Airflow with a real triggerer: ``make system``."""
