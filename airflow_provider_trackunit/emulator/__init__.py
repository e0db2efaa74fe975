"""A local Trackunit IRIS for tests and demos.

``python -m airflow_provider_trackunit.emulator`` runs it; :class:`IrisEmulator` drives it from a
test. It is written from the vendor's public pages and shares no code with the client, so that a
mistake in one cannot hide in the other. It needs the extra ``emulator``; importing it does not.
"""

from airflow_provider_trackunit.emulator.handle import IrisEmulator
from airflow_provider_trackunit.emulator.settings import REAL_FLEET

__all__ = ["REAL_FLEET", "IrisEmulator"]
