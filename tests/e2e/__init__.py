"""End to end: a real Airflow, a real browser, real workers. Run by ``make e2e`` and ``make e2e-celery``."""
