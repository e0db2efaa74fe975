"""The waits in the triggerer, one module each, and what they stand on: their clock, and the connection they share.

A trigger is written down as a class of this package, whatever module it lies in: what is in the database of an Airflow
that is upgraded has to be found again.
"""

from __future__ import annotations

from airflow_provider_trackunit.triggers.answer import IrisTrigger
from airflow_provider_trackunit.triggers.new_records import IrisEventTrigger
from airflow_provider_trackunit.triggers.resume import IrisResumeTrigger
from airflow_provider_trackunit.triggers.timing import Timing

__all__ = ["IrisEventTrigger", "IrisResumeTrigger", "IrisTrigger", "Timing"]
