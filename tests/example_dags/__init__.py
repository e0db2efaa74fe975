"""The example DAGs, run by a real Airflow."""
