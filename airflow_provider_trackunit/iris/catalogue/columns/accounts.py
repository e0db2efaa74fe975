"""Columns of what an account keeps: operators, and the values of custom fields."""

from __future__ import annotations

from typing import Final

from airflow_provider_trackunit.iris.catalogue.columns.column import Column, Table, from_source

_OPERATOR: Final = from_source(
    "Access management API; members in part not published",
    Column("id", "id", "string", "the operator; changes when an invitation is accepted"),
    Column("account_id", "accountId", "string", "cleared when an invitation is accepted"),
    Column("name", "name", "string", "name"),
    Column("email", "email", "string", "address"),
    Column("status", "status", "string", "whether invited or active"),
)

_VALUE: Final = from_source(
    "Custom fields API; members in part not published",
    Column("id", "id", "string", "the value"),
    Column("entity_id", "entityId", "string", "the asset, site, customer, ... that has it"),
    Column("definition_id", "definitionId", "string", "the field"),
    Column("value", "value", "json", "of the type that the field's definition says"),
    Column(
        "last_incompatible_value", "lastIncompatibleValue", "json", "what a change of the definition dropped"
    ),
)

ACCOUNT_TABLES: Final = (
    Table("Operators", ("/public/api/operator/operators",), _OPERATOR),
    Table("Custom field values", ("/api/custom-fields/v1/values",), _VALUE),
)
