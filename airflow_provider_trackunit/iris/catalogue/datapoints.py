"""The datapoints of AEMP: what a machine reports, by the members of its JSON, with types and units.

A datapoint is a block of the snapshot and a series of its own; both have the same members beside ``datetime``. In JSON
the names begin with a capital (the standard's) or a small letter (the extension's), and either has been seen.

Source: ISO 15143-3, and the schema of the extension on page "Export ISO 15143-3 (AEMP 2.0) - Introduction" of the
vendor's developer hub, https://developers.trackunit.com. The vendor states no units for the values of the extension
beside those that a member says; what a name says itself, such as kilowatt hours, is taken from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.catalogue.columns.column import Type


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a datapoint.

    :param unit: of its values, None where they have none or ``units`` says it
    :param units: the member beside it that says the unit of each value
    """

    name: str
    type: Type = "double"
    unit: str | None = None
    units: str | None = None


@dataclass(frozen=True, slots=True)
class Datapoint:
    """What a machine reports under one name, each time with the moment ``datetime``.

    :param block: its name in the snapshot; None for one that is only a series
    :param series: its name in the path of a series
    :param value: the member that is the reading itself; None where several are, as with a position
    :param others: the further members
    :param extended: whether the snapshot has it only with ``addExtendedData=true``
    """

    block: str | None
    series: str
    value: Member | None
    others: tuple[Member, ...] = ()
    extended: bool = False

    @property
    def members(self) -> tuple[Member, ...]:
        """All that is beside ``datetime``: each value, and behind it the member that says its unit."""
        values = (self.value, *self.others) if self.value else self.others
        return tuple(
            one
            for value in values
            for one in (value, *([Member(value.units, "string")] if value.units else []))
        )


_HOUR: Final = Member("Hour", unit="h")
_PERCENT: Final = Member("Percent", unit="%")
_FUEL: Final = Member("FuelConsumed", units="FuelUnits")
_SPEED: Final = Member("Speed", units="SpeedUnits")
_PAYLOAD: Final = Member("Payload", units="PayloadUnits")


def _standard(name: str, value: Member | None, *others: Member) -> Datapoint:
    return Datapoint(name, name, value, others)


#: The sixteen blocks of ISO 15143-3 beside the header, in its order.
STANDARD: Final[tuple[Datapoint, ...]] = (
    Datapoint(
        "Location",
        "Locations",
        None,
        (
            Member("Latitude", unit="degree"),
            Member("Longitude", unit="degree"),
            Member("Altitude", units="AltitudeUnits"),
        ),
    ),
    _standard("CumulativeOperatingHours", _HOUR),
    _standard("CumulativeIdleHours", _HOUR),
    _standard("CumulativeIdleNonOperatingHours", _HOUR),
    _standard("CumulativePowerTakeOffHours", _HOUR),
    _standard("CumulativeActiveRegenerationHours", _HOUR),
    _standard("CumulativeLoadCount", Member("Count", "int64")),
    _standard("CumulativePayloadTotals", _PAYLOAD),
    _standard("Distance", Member("Odometer", units="OdometerUnits")),
    _standard("FuelUsed", _FUEL),
    _standard("FuelUsedLast24", _FUEL),
    _standard("FuelRemaining", _PERCENT, Member("FuelTankCapacity", units="FuelTankCapacityUnits")),
    _standard("DEFRemaining", _PERCENT, Member("DEFTankCapacity", units="DEFTankCapacityUnits")),
    _standard("EngineStatus", Member("Running", "boolean"), Member("EngineNumber", "string")),
    _standard("AverageLoadFactorLast24", _PERCENT),
    _standard("MaximumSpeedLast24", _SPEED),
)

#: Fault codes: a series of the standard, and no block of the snapshot.
FAULTS: Final = Datapoint(
    None,
    "Faults",
    Member("CodeIdentifier", "string"),
    (Member("CodeDescription", "string"), Member("CodeSeverity", "string"), Member("CodeSource", "string")),
)


def _extended(value: Member, *names: str) -> tuple[Datapoint, ...]:
    return tuple(Datapoint(name, name, value, extended=True) for name in names)


def _own(
    name: str, kind: Type = "double", unit: str | None = None, member: str = ""
) -> tuple[Datapoint, ...]:
    """Return a datapoint whose value is in a member of its own name, or of the name as the schema spells it there."""
    return _extended(Member(member or name, kind, unit), name)


_DPF: Final = "AfterTreatmentDieselParticulateFilter"

#: The elements that ``addExtendedData=true`` adds, grouped by the member that holds the value.
EXTENDED: Final[tuple[Datapoint, ...]] = (
    *_extended(_SPEED, "EngineSpeed", "WheelBasedVehicleSpeed", "Speed"),
    *_extended(
        Member("Pressure"),
        "EngineOilPressure",
        "EngineFuelDeliveryPressure",
        "EngineCoolantPressure",
        "BarometricPressure",
        "EngineAirFilterDifferentialPressure",
        f"{_DPF}DifferentialPressure",
        "EngineIntakeAirPressure",
        "EngineIntakeManifoldPressure",
        "HydraulicPressure",
    ),
    *_extended(
        Member("Temperature"),
        "EngineOilTemperature",
        "EngineCoolantTemperature",
        "EngineExhaustTemperature",
        "HydraulicTemperature",
        "AfterTreatmentDieselExhaustFluidTankTemperature",
        "AmbientAirTemperature",
        "EngineIntakeAirTemperature",
        "RoadSurfaceTemperature",
        "EngineIntakeManifoldTemperature",
        f"{_DPF}IntakeTemperature",
        "AfterTreatmentExhaustTemperature",
        "EngineFuelTemperature",
        "EngineIntercoolerTemperature",
        "TransmissionOilTemperature",
        "BatteryTemperature",
        "PayloadTemperature",
    ),
    *_extended(Member("Level"), "EngineCoolantLevel", "HydraulicOilLevel"),
    *_extended(
        Member("Percentage", unit="%"),
        "EnginePercentLoadAtCurrentSpeed",
        "ActualEnginePercentTorque",
        f"{_DPF}SootLoadPercent",
        f"{_DPF}AshLoadPercent",
        "PayloadPercentage",
        "EngineOilLevel",
        "PlatformHeightPercent",
        "BatteryStateOfChargePercent",
    ),
    *_extended(Member("Angle"), "PitchAngle", "RollAngle"),
    *_extended(
        Member("Status", "string"),
        f"{_DPF}PassiveRegenerationStatus",
        f"{_DPF}Status",
        f"{_DPF}ActiveRegenerationStatus",
        "OperationStatus",
        "PlatformElevated",
    ),
    *_extended(
        Member("State", "string"),
        "BatteryChargerState",
        "BatteryChargerPowerLineState",
        "AmberWarningLamp",
        "DieselParticulateFilterLampCommand",
        "ExhaustSystemHighTemperatureLampCommand",
        "MalfunctionIndicatorLamp",
        "ProtectLamp",
        "RedStopLamp",
    ),
    *_extended(_HOUR, "CumulativeProductiveHours", "CumulativeMovingHours", "CumulativeEngineHours"),
    *_extended(
        Member("Current"),
        "BatteryCurrent",
        "AcPhaseL1RMSCurrent",
        "AcPhaseL2RMSCurrent",
        "AcPhaseL3RMSCurrent",
    ),
    *_extended(
        Member("Voltage"),
        "AcPhaseL1NeutralRMSVoltage",
        "AcPhaseL2NeutralRMSVoltage",
        "AcPhaseL3NeutralRMSVoltage",
        "AcPhaseL1L2RMSVoltage",
        "AcPhaseL2L3RMSVoltage",
        "AcPhaseL3L1RMSVoltage",
    ),
    *_extended(Member("Frequency"), "AcPhaseL1Frequency", "AcPhaseL2Frequency", "AcPhaseL3Frequency"),
    *_extended(
        Member("Power", units="Unit"),
        "AcTotalActivePower",
        "AcPhaseL1ActivePower",
        "AcPhaseL2ActivePower",
        "AcPhaseL3ActivePower",
        "AcTotalApparentPower",
        "AcTotalReactivePower",
    ),
    *_extended(Member("Factor"), "AcTotalPowerFactor"),
    *_extended(Member("Length"), "PlatformHeight"),
    *_extended(_PAYLOAD, "Payload"),
    *_extended(_FUEL, "EngineTotalIdleFuelUsed"),
    *_own("EngineFuelRate"),
    *_own("EngineTripFuel"),
    *_own("BatteryPotential"),
    *_own("BatteryChargerOutputVoltage"),
    *_own("BatteryChargerOutputCurrent"),
    *_own("WaterInFuelIndicator", "string"),
    *_own("SeatBeltSwitch", "string"),
    *_own("HydraulicOilFilterRestrictionSwitch", "string"),
    *_own("ServiceComponentIdentification", "string"),
    *_own("AfterTreatmentScrOperatorInducementSeverity", "string"),
    *_own("GeneratorTotalKwHoursExport", unit="kWh", member="GeneratorTotalkWHoursExport"),
    *_own(
        "AfterTreatmentDieselExhaustFluidConcentration",
        member="AftertreatmentDieselExhaustFluidConcentration",
    ),
    *_own(
        f"{_DPF}TimeSinceLastActiveRegeneration",
        member="AftertreatmentDieselParticulateFilterTimeSinceLastActiveRegeneration",
    ),
    *_own(
        "DieselParticulateFilterActiveRegenerationInhibitedDueToInhibitSwitch",
        "string",
        member="DieselParticulateFilterActiveRegenerationInhibitedDuetoInhibitSwitch",
    ),
)

#: Everything that has a series.
DATAPOINTS: Final[tuple[Datapoint, ...]] = (*STANDARD, FAULTS, *EXTENDED)
