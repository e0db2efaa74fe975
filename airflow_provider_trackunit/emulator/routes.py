"""Every API path the emulator knows."""

from airflow_provider_trackunit.emulator.aemp import AEMP_ROUTES
from airflow_provider_trackunit.emulator.assets import ASSET_ROUTES
from airflow_provider_trackunit.emulator.routing import Route

API_ROUTES: list[Route] = [*ASSET_ROUTES, *AEMP_ROUTES]
