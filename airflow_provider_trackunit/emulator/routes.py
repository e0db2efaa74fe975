"""Every API path the emulator knows."""

from airflow_provider_trackunit.emulator.aemp import AEMP_ROUTES
from airflow_provider_trackunit.emulator.assets import ASSET_ROUTES
from airflow_provider_trackunit.emulator.directory import DIRECTORY_ROUTES
from airflow_provider_trackunit.emulator.events import EVENT_ROUTES
from airflow_provider_trackunit.emulator.graphql import GRAPHQL_ROUTES
from airflow_provider_trackunit.emulator.locations import LOCATION_ROUTES
from airflow_provider_trackunit.emulator.routing import Route
from airflow_provider_trackunit.emulator.service import SERVICE_ROUTES
from airflow_provider_trackunit.emulator.sites import SITE_ROUTES
from airflow_provider_trackunit.emulator.timeseries import TIME_SERIES_ROUTES

API_ROUTES: list[Route] = [
    *ASSET_ROUTES,
    *AEMP_ROUTES,
    *SITE_ROUTES,
    *LOCATION_ROUTES,
    *EVENT_ROUTES,
    *DIRECTORY_ROUTES,
    *SERVICE_ROUTES,
    *TIME_SERIES_ROUTES,
    *GRAPHQL_ROUTES,
]
