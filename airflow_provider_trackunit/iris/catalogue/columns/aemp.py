"""Columns of AEMP: the snapshot's rows, a block beside a block, and the readings of a series.

In the snapshot several blocks have a member of one name (``Hour``, ``Percent``), and each has its own time; so every
column begins with its block. The value of a block is named after the block alone. A series is of one datapoint, and
its columns are named after the members; those of a series that a placeholder chooses are the columns of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.catalogue.columns.column import Column, Table, snake_case
from airflow_provider_trackunit.iris.catalogue.datapoints import (
    DATAPOINTS,
    EXTENDED,
    STANDARD,
    Datapoint,
    Member,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_FLEET: Final = "/public/api/aemp/v2/15143/-3/Fleet"
_SNAPSHOT_PATHS: Final = (f"{_FLEET}[/{{page}}]", f"{_FLEET}/Equipment/ID/{{pin}}")
_HUB: Final = "Export ISO 15143-3 (AEMP 2.0)"


def _any_case(*columns: Column) -> tuple[Column, ...]:
    return tuple(
        Column(one.name, one.path, one.type, one.description, one.unit, _HUB, any_case=True)
        for one in columns
    )


_HEADER: Final = _any_case(
    Column("pin", "EquipmentHeader.PIN", "string", "product identification number; some machines have none"),
    Column(
        "serial_number",
        "EquipmentHeader.SerialNumber",
        "string",
        "of the machine; of its telematics device where the machine has none",
    ),
    Column(
        "equipment_id", "EquipmentHeader.EquipmentID", "string", "the name that users gave it, not unique"
    ),
    Column("oem_name", "EquipmentHeader.OEMName", "string", "brand"),
    Column("model", "EquipmentHeader.Model", "string", "model"),
    Column(
        "unit_install_datetime",
        "EquipmentHeader.UnitInstallDateTime",
        "timestamp",
        "when the telematics device was installed",
    ),
    Column("asset_id", "metadata.assetId", "string", "the asset; with addMetadata=true"),
    Column("machine_id", "metadata.machineId", "string", "the machine; with addMetadata=true"),
    Column("unit_id", "metadata.unitId", "string", "the telematics unit; with addMetadata=true"),
    Column(
        "telematic_serial_number",
        "metadata.telematicSerialNumber",
        "string",
        "of the telematics device; with addMetadata=true",
    ),
    Column(
        "external_reference_number",
        "metadata.externalReferenceNumber",
        "string",
        "the customer's own; with addMetadata=true",
    ),
)


def _block(datapoint: Datapoint) -> tuple[Column, ...]:
    """Return the columns of a block of the snapshot."""
    block = str(datapoint.block)
    name = snake_case(block)
    columns = [
        column
        for member in (datapoint.value, *datapoint.others)
        if member is not None
        for column in _value(_name_in_block(datapoint, member), f"{block}.", member, block)
    ]
    moment = Column(f"{name}_datetime", f"{block}.datetime", "timestamp", f"when {block} was read")
    return _any_case(*columns, moment)


def _name_in_block(datapoint: Datapoint, member: Member) -> str:
    name = snake_case(str(datapoint.block))
    if member is not datapoint.value:
        return f"{name}_{snake_case(member.name)}"
    return f"{name}_percent" if member.unit == "%" and "percent" not in name else name


def _value(name: str, prefix: str, member: Member, of: str) -> Iterable[Column]:
    """Yield the column of a value, and that of its unit where a member says it."""
    told = f", in the unit of {name}_units" if member.units else ""
    yield Column(name, f"{prefix}{member.name}", member.type, f"{member.name} of {of}{told}", member.unit)
    if member.units:
        yield Column(f"{name}_units", f"{prefix}{member.units}", "string", f"unit of {name}")


def _series(datapoints: Iterable[Datapoint]) -> tuple[Column, ...]:
    """Return the columns of a series of any of these datapoints; those with a member in common share its column."""
    moment = Column("datetime", "datetime", "timestamp", "when it was read")
    readings = {member.name: _reading(one, member) for one in datapoints for member in one.members}
    return _any_case(moment, *readings.values())


def _reading(datapoint: Datapoint, member: Member) -> Column:
    own = (
        member.name.lower() == datapoint.series.lower()
    )  # spelled a little otherwise, in the vendor's schema
    name = snake_case(datapoint.series if own else member.name)
    told = f", in the unit of {snake_case(member.units)}" if member.units else ""
    return Column(name, member.name, member.type, f"{member.name} of the reading{told}", member.unit)


def _series_path(datapoint: str) -> str:
    return f"{_FLEET}/Equipment/ID/{{pin}}/{datapoint}/{{startTime}}/{{endTime}}[/{{page}}]"


_SNAPSHOT: Final = (*_HEADER, *(column for one in STANDARD for column in _block(one)))

#: The more special before the more general: the first that fits is the one.
AEMP_TABLES: Final = (
    Table(
        "Equipment of the AEMP snapshot, with extended data",
        _SNAPSHOT_PATHS,
        (*_SNAPSHOT, *(column for one in EXTENDED for column in _block(one))),
        query=("addExtendedData", "true"),
    ),
    Table("Equipment of the AEMP snapshot", _SNAPSHOT_PATHS, _SNAPSHOT),
    *(Table(f"AEMP series {one.series}", (_series_path(one.series),), _series([one])) for one in DATAPOINTS),
    Table(
        "AEMP series of any datapoint, where a placeholder chooses it",
        (_series_path("{datapoint}"),),
        _series(DATAPOINTS),
    ),
)
