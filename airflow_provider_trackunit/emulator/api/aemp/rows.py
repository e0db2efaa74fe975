"""AEMP rows as JSON, and the same rows as the XML of ISO 15143-3, which is the default format."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.machines import identity
from airflow_provider_trackunit.emulator.machines.readings import camel_case, latest
from airflow_provider_trackunit.emulator.world import World

NAMESPACE = "http://standards.iso.org/iso/15143/-3"
CORE_BLOCKS = (
    ("CumulativeOperatingHours", 250),
    ("CumulativeIdleHours", 240),
    ("Distance", 140),
    ("FuelUsed", 145),
    ("FuelRemaining", 245),
    ("DEFRemaining", 120),
)
EXTENDED_BLOCKS = ("EngineCoolantTemperature", "EngineSpeed", "BatteryPotential", "EngineFuelRate")


def equipment(world: World, index: int, *, metadata: bool, extended: bool) -> dict[str, Any]:
    """Return one row of the snapshot (developer hub: AEMP 2.0 API).

    Every block is optional and has its own ``datetime``. A machine without a serial number is
    given the serial of its telematics device.
    """
    row: dict[str, Any] = {"EquipmentHeader": _header(world.seed, index)}
    bits = identity.dice(world.seed, index, "blocks")
    if bits[0] < 250:
        row["Location"] = _latest(world, index, "Locations")
    for at, (block, out_of_256) in enumerate(CORE_BLOCKS, start=1):
        if bits[at] < out_of_256:
            row[block] = _latest(world, index, block)
    if bits[10] < 200:
        moment = _latest(world, index, "Locations")["datetime"]
        row["EngineStatus"] = {"EngineNumber": "1", "Running": bits[11] % 4 == 0, "datetime": moment}
    if metadata:
        row["metadata"] = _metadata(world.seed, index)
    if extended:
        row.update({camel_case(block): _latest(world, index, block) for block in EXTENDED_BLOCKS})
    return row


def _latest(world: World, index: int, datapoint: str) -> dict[str, Any]:
    return latest(world.settings, world.seed, index, datapoint, world.data_now)


def _header(seed: int, index: int) -> dict[str, Any]:
    brand, model = identity.brand_and_model(seed, index)
    serial = identity.serial_number(seed, index) or identity.device_serials(seed, index)[0]
    installed = 1_640_995_200 + identity.dice(seed, index)[14] * 86_400
    header = {
        "UnitInstallDateTime": moments.written(installed),
        "OEMName": brand,
        "Model": model,
        "EquipmentID": asset_name(seed, index),
        "SerialNumber": serial,
    }
    pin = identity.pin(seed, index)
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
