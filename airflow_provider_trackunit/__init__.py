"""Apache Airflow provider for Trackunit IRIS."""

__version__ = "0.1.0"
