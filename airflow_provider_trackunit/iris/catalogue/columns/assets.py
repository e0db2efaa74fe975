"""Columns of assets, and of where they are now."""

from __future__ import annotations

from typing import Final

from airflow_provider_trackunit.iris.catalogue.columns.column import Column, Table, from_source

_ASSET: Final = from_source(
    "Assets API",
    Column("id", "id", "string", "the asset"),
    Column("asset_type", "assetType", "string", "MACHINE, EQUIPMENT, TOOL, ...; VEHICLE from version 2 on"),
    Column("type", "type", "string", "category and subcategory, such as Excavator/Mini"),
    Column("name", "name", "string", "the name that users gave it, not unique"),
    Column("external_reference", "externalReference", "string", "the customer's own; may be empty text"),
    Column("brand", "brand", "string", "brand"),
    Column("model", "model", "string", "model"),
    Column("serial_number", "serialNumber", "string", "serial number or PIN; may be empty text"),
    Column("production_year", "productionYear", "int64", "year of production"),
    Column("production_date", "productionDate", "date", "day of production, seen"),
    Column("owner_account_id", "ownerAccountId", "string", "the account that owns it"),
    Column("created_at", "createdAt", "timestamp", "null for older assets"),
    Column("hidden", "hidden", "boolean", "whether it is hidden, seen"),
    Column("permissions_edit", "permissions.edit", "boolean", "whether this account may change it"),
    Column(
        "telematics_devices", "telematicsDevices", "json", "list of id and serialNumber, from none to many"
    ),
)

_LOCATION: Final = from_source(
    "Location API",
    Column("asset_id", "assetId", "string", "the asset; its place in the record is not published"),
    Column("feature_type", "type", "string", "of GeoJSON: Feature"),
    Column("geometry_type", "geometry.type", "string", "of GeoJSON: Point"),
    Column("longitude", "geometry.coordinates[0]", "double", "longitude, WGS 84", "degree"),
    Column("latitude", "geometry.coordinates[1]", "double", "latitude, WGS 84", "degree"),
    Column("elevation_m", "geometry.coordinates[2]", "double", "elevation; none of Bluetooth tags", "m"),
    Column("accuracy_m", "properties.accuracy", "double", "radius of accuracy", "m"),
    Column("heading", "properties.heading", "double", "direction of travel; none of Bluetooth tags"),
    Column("speed_km_per_h", "properties.speed", "double", "speed; none of Bluetooth tags", "km/h"),
    Column("updated_at", "properties.updatedAt", "timestamp", "when the position was registered"),
    Column("street_address", "properties.locationAddress.streetAddress", "string", "street and number"),
    Column("zip_code", "properties.locationAddress.zipCode", "string", "zip code"),
    Column("city", "properties.locationAddress.city", "string", "city"),
    Column("country", "properties.locationAddress.country", "string", "country"),
)

ASSET_TABLES: Final = (
    Table(
        "Assets",
        (
            "/api/asset/v1/assets",
            "/api/asset/v2/assets",
            "/api/asset/v1/assets/{assetId}",
            "/api/asset/v2/assets/{assetId}",
        ),
        _ASSET,
    ),
    Table("Locations", ("/api/location/v1/locations", "/api/location/v1/locations/{assetId}"), _LOCATION),
)
