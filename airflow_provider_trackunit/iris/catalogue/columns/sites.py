"""Columns of sites, and of who was on them when."""

from __future__ import annotations

from typing import Final

from airflow_provider_trackunit.iris.catalogue.columns.column import Column, Table, from_source

_SITE: Final = from_source(
    "Site API; members seen",
    Column("id", "id", "string", "the site"),
    Column("name", "name", "string", "its name"),
    Column("type", "type", "string", "CONSTRUCTION_SITE, DEPOT, WORK_PLACE, AREA, ..."),
    Column("status", "status", "string", "PLANNED, ACTIVE, FINISHED, ARCHIVED"),
    Column("external_reference", "externalReference", "string", "the customer's own"),
    Column("area", "area", "json", "the polygon, as GeoJSON"),
)

_STAY: Final = from_source(
    "Site API, seen",
    Column("site_id", "siteId", "string", "the site"),
    Column("asset_id", "assetId", "string", "the asset"),
    Column("entered_at", "enteredAt", "timestamp", "when it came; may be corrected later"),
    Column("left_at", "leftAt", "timestamp", "when it left, null while it is there"),
)

#: The more special path before the more general: the first that fits is the one.
SITE_TABLES: Final = (
    Table("Site history", ("/api/site/v1/sites/history",), _STAY),
    Table("Sites", ("/api/site/v1/sites", "/api/site/v1/sites/{siteId}"), _SITE),
)
