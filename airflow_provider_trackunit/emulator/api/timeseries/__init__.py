"""The Time Series API: the Prometheus endpoints, and the language of their queries."""
