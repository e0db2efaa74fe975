"""Every API path the emulator knows."""

from airflow_provider_trackunit.emulator.api.aemp.pages import AEMP_ROUTES
from airflow_provider_trackunit.emulator.api.assets import ASSET_ROUTES
from airflow_provider_trackunit.emulator.api.events import EVENT_ROUTES
from airflow_provider_trackunit.emulator.api.graphql.endpoint import GRAPHQL_ROUTES
from airflow_provider_trackunit.emulator.api.locations import LOCATION_ROUTES
from airflow_provider_trackunit.emulator.api.organization import DIRECTORY_ROUTES
from airflow_provider_trackunit.emulator.api.service import SERVICE_ROUTES
from airflow_provider_trackunit.emulator.api.sites import SITE_ROUTES
from airflow_provider_trackunit.emulator.api.timeseries.prometheus import TIME_SERIES_ROUTES
from airflow_provider_trackunit.emulator.serving.routing import Route

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
