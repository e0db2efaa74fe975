"""A connection becomes a client: one hook for threads, one for an event loop, with the same methods and decisions.

``lending`` is what the second one and the triggers have in common, ``form`` what the button "Test" says.
"""

from __future__ import annotations

from airflow_provider_trackunit.hooks.awaited import IrisAsyncHook
from airflow_provider_trackunit.hooks.blocking import IrisHook

__all__ = ["IrisAsyncHook", "IrisHook"]
