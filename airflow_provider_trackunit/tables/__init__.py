"""What the records mean: results of a transfer become tables with a key, typed columns and rules that are written down.

Pure, on Arrow: no HTTP, no state, and of Airflow only what knows the stores of results. Here belongs what turns records
into tables, says which of two readings stands, and puts a table into a database; what asks IRIS does not. Needs the
extra ``parquet``.
"""

from __future__ import annotations

try:
    import pyarrow as pa  # noqa: F401 - here, so that its absence is told once and in words
except ImportError as error:
    raise ImportError(
        "airflow_provider_trackunit.tables needs pyarrow: pip install 'airflow-provider-trackunit[parquet]'"
    ) from error

from airflow_provider_trackunit.tables.aemp.collecting import readings
from airflow_provider_trackunit.tables.days import machine_days
from airflow_provider_trackunit.tables.visits import site_visits

__all__ = ["machine_days", "readings", "site_visits"]
