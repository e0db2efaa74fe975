"""Columns of service management: the plans, and how the planned services of an asset stand."""

from __future__ import annotations

from typing import Final

from airflow_provider_trackunit.iris.catalogue.columns.column import Column, Table, from_source

_PREFIXES: Final = ("/api/service-management/v2/plans", "/public/api/service-management/v2/plans")
_HUB: Final = "Service management API"

_PLAN: Final = from_source(
    _HUB,
    Column("id", "id", "string", "the plan"),
    Column("name", "name", "string", "its name"),
    Column("is_public", "isPublic", "boolean", "whether it is published for a brand and model"),
    Column("created_at", "metadata.createdAt", "timestamp", "when it was made"),
    Column("updated_at", "metadata.updatedAt", "timestamp", "when it was last changed"),
    Column("planned_services", "plannedServices", "json", "list of services with their criteria"),
)

_HOURS: Final = "cumulativeOperatingHoursCriteria"
_STATUS: Final = from_source(
    _HUB,
    Column("service_plan_id", "servicePlanId", "string", "the plan"),
    Column("planned_service_id", "plannedServiceId", "string", "the service within the plan"),
    Column("service_provider_account_id", "serviceProviderAccountId", "string", "who performs it"),
    Column("name", "name", "string", "its name"),
    Column("status", "status", "string", "PLANNED, UPCOMING, OVERDUE"),
    Column("triggered_at", "triggeredAt", "timestamp", "when a criterion was met"),
    Column(
        "operating_hours_triggered",
        f"{_HOURS}.triggered",
        "boolean",
        "whether the operating hours are reached",
    ),
    Column("operating_hours_criteria", f"{_HOURS}.criteria", "json", "at how many operating hours"),
    Column("time_triggered", "timeCriteria.triggered", "boolean", "whether the time has come"),
    Column("time_criteria", "timeCriteria.criteria", "json", "after which time"),
    Column("prediction_criteria", "predictionCriteria", "json", "what the prediction rests on"),
    Column(
        "predicted_service_time", "predictedServiceTime", "timestamp", "recalculated daily, may be cleared"
    ),
    Column("predicted_at", "predictedAt", "timestamp", "when it was predicted"),
)

_ASSET: Final = from_source(_HUB, Column("asset_id", "@", "string", "an asset with a service in that status"))

SERVICE_TABLES: Final = (
    Table("Service plans", _PREFIXES, _PLAN),
    Table("Service status", tuple(f"{one}/assignments/service-status" for one in _PREFIXES), _STATUS),
    Table(
        "Assets by service status",
        tuple(f"{one}/assignments/service-status/{{status}}/assets" for one in _PREFIXES),
        _ASSET,
    ),
)
