"""AEMP rows as JSON, and the same rows as the XML of ISO 15143-3, which is the default format."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.machines import identity
from airflow_provider_trackunit.emulator.machines.datapoints import STANDARD, camel_case
from airflow_provider_trackunit.emulator.machines.extension import EXTENDED
from airflow_provider_trackunit.emulator.machines.identity import roll
from airflow_provider_trackunit.emulator.machines.work import machine
from airflow_provider_trackunit.emulator.world import World

NAMESPACE = "http://standards.iso.org/iso/15143/-3"
# The blocks of the extension that every machine has; each of the others has a quarter of the fleet.
EXTENDED_BLOCKS = ("EngineCoolantTemperature", "EngineSpeed", "BatteryPotential", "EngineFuelRate")
QUARTER = 64


def equipment(world: World, index: int, metadata: bool, extended: bool) -> dict[str, Any]:
    """Return one row of the snapshot (developer hub: AEMP 2.0 API).

    Every block is optional and has its own ``datetime``. A machine without a serial number is
    given the serial of its telematics device.
    """
    row: dict[str, Any] = {"EquipmentHeader": _header(world, index)}
    latest = world.feed.latest(index, STANDARD, world.data_now)
    row |= {"Location" if name == "Locations" else name: block for name, block in latest.items()}
    if metadata:
        row["metadata"] = _metadata(world.seed, index)
    if extended:
        latest = world.feed.latest(index, _extended_of(world.seed, index), world.data_now)
        row |= {camel_case(name): _in_camel_case(block) for name, block in latest.items()}
    return row


def _in_camel_case(block: dict[str, Any]) -> dict[str, Any]:
    return {camel_case(member): value for member, value in block.items()}


def _extended_of(seed: int, index: int) -> list[str]:
    bits = roll(seed, index, "extended") * 3
    return [
        name for name, bit in zip(EXTENDED, bits, strict=False) if name in EXTENDED_BLOCKS or bit < QUARTER
    ]


def _header(world: World, index: int) -> dict[str, Any]:
    seed, names = world.seed, world.names
    brand, model = identity.brand_and_model(seed, index)
    header = {
        "UnitInstallDateTime": moments.written(machine(seed, index).installed),
        "OEMName": brand,
        "Model": model,
        "EquipmentID": asset_name(seed, index),
        "SerialNumber": names.serial_number(index) or identity.device_serials(seed, index)[0],
    }
    pin = names.pin(index)
    return header | {"PIN": pin} if pin else header


def asset_name(seed: int, index: int) -> str:
    """Return the name users gave the asset; names are not unique."""
    return f"{identity.brand_and_model(seed, index)[1]}-{index % 5000}"


def external_reference(index: int) -> str:
    """Return the ERP number; empty for some assets."""
    return "" if index % 6 == 5 else f"ERP-{8000 + index}"


def _metadata(seed: int, index: int) -> dict[str, Any]:
    return {
        "assetId": identity.asset_id(seed, index),
        "machineId": identity.machine_uuid(index),
        "telematicSerialNumber": identity.device_serials(seed, index)[0],
        "unitId": str(identity.machine_id(index) // 2),
        "externalReferenceNumber": external_reference(index),
    }


def pascal_case(value: Any) -> Any:
    """Return the value with every member name capitalised, except ``datetime``, ``rel`` and ``href``."""
    if isinstance(value, dict):
        return {_capitalised(name): pascal_case(member) for name, member in value.items()}
    return [pascal_case(item) for item in value] if isinstance(value, list) else value


def _capitalised(name: str) -> str:
    return (
        name if name in {"datetime", "rel", "href", "version", "snapshotTime"} else name[0].upper() + name[1:]
    )


def fleet_xml(envelope: dict[str, Any], rows: list[dict[str, Any]], element: str) -> bytes:
    """Return the page as XML: attributes for version and times, elements for everything else."""
    links = "".join(_element("Links", link) for link in envelope["links"])
    body = "".join(_element(element, pascal_case(row)) for row in rows)
    head = f"version={quoteattr(envelope['version'])} snapshotTime={quoteattr(envelope['snapshotTime'])}"
    page = f'<?xml version="1.0" encoding="UTF-8"?><Fleet xmlns="{NAMESPACE}" {head}>{links}{body}</Fleet>'
    return page.encode()


def _element(name: str, value: Any) -> str:
    if not isinstance(value, dict):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return f"<{name}>{escape(text)}</{name}>"
    moment = f" datetime={quoteattr(value['datetime'])}" if "datetime" in value else ""
    members = "".join(_element(key, member) for key, member in value.items() if key != "datetime")
    return f"<{name}{moment}>{members}</{name}>"
