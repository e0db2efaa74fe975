"""The IRIS API client. Knows HTTP, OAuth 2.0 and the vendor's endpoints; never imports Airflow."""
