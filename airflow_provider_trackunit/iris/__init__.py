"""The IRIS API client. Knows HTTP, OAuth 2.0 and the vendor's endpoints; never imports Airflow.

Its rooms, from the ground up: ``calls`` (what is asked for), ``catalogue`` (what is documented, as data), ``http`` (one call),
``pages`` (one collection), then the clients for threads and for an event loop, ``watch`` (one wait) and ``export`` (one
result). ``errors`` is the tree of all that can go wrong.
"""
