"""Columns of what happens to assets: events, faults on the CAN bus, and the rules that raise alerts."""

from __future__ import annotations

from typing import Final

from airflow_provider_trackunit.iris.catalogue.columns.column import Column, Table, from_source

_DETAILS: Final = "assetEventDomainDetails"

_EVENT: Final = from_source(
    "Asset event API; members seen",
    Column("id", "id", "string", "the event"),
    Column("asset_id", "assetId", "string", "the asset"),
    Column("type", "type", "string", "ALERT, MACHINE_FAULT, SERVICE_MANAGEMENT, ..."),
    Column("status", "status", "string", "OPEN, RESOLVED, DISMISSED, CLOSED"),
    Column("criticality", "criticality", "string", "CRITICAL, LOW, NONE"),
    Column("event_time", "eventTime", "timestamp", "the time of the event"),
    Column("time_on", "timeOn", "timestamp", "when it began"),
    Column("time_off", "timeOff", "timestamp", "when it ended, null while it is open"),
    Column("event_type_name", f"{_DETAILS}.eventTypeName", "string", "says which details there are"),
    Column("description", f"{_DETAILS}.description", "string", "what happened, for people"),
    Column("fault_code", f"{_DETAILS}.faultCode", "string", "of a machine fault"),
    Column("spn", f"{_DETAILS}.j1939.spn", "int64", "suspect parameter number, of a fault by J1939"),
    Column("fmi", f"{_DETAILS}.j1939.fmi", "int64", "failure mode identifier, of a fault by J1939"),
    Column("sa", f"{_DETAILS}.j1939.sa", "int64", "source address, of a fault by J1939"),
)

_CAN_FAULT: Final = from_source(
    "CAN faults API; members not published",
    Column("machine_id", "machineId", "int64", "the machine, by its number"),
    Column("spn", "spn", "int64", "suspect parameter number"),
    Column("fmi", "fmi", "int64", "failure mode identifier"),
    Column("sa", "sa", "int64", "source address"),
    Column("timestamp", "timestamp", "timestamp", "when it was reported"),
)

_ALERT: Final = from_source(
    "Alerts API",
    Column("id", "id", "string", "the rule"),
    Column("name", "name", "string", "what users call it"),
    Column("alert_type", "alertType", "string", "says which of the details is filled"),
    Column("enabled", "enabled", "boolean", "whether it raises alerts; member not published"),
    Column("configuration_details", "configurationDetails", "json", "one member is filled: that of the type"),
)

EVENT_TABLES: Final = (
    Table(
        "Asset events",
        (
            "/public/api/eventlog/v3/asset-event/log",
            "/public/api/eventlog/v3/asset-event/active",
        ),
        _EVENT,
    ),
    Table("CAN faults", ("/public/api/can-faults/faults",), _CAN_FAULT),
    Table(
        "Alert configurations",
        ("/api/alerts/v1/configurations", "/api/alerts/v1/configurations/{alertConfigurationId}"),
        _ALERT,
    ),
)
