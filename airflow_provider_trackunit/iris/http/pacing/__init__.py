"""When a request may leave: the rates of the API, kept where they are documented and learned where they are not.

``pacer`` gives out the turns, ``lanes`` is one limit and its line, ``keeping`` a documented rate, ``learning`` one that
nobody published. Knows no requests: what counts in which limit the catalogue says.
"""

from airflow_provider_trackunit.iris.http.pacing.pacer import Pacer, Turn, forget_limits, pacer_of

__all__ = ["Pacer", "Turn", "forget_limits", "pacer_of"]
