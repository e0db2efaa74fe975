"""The vendor's extension of AEMP: what ``addExtendedData=true`` adds to a row, and the series of the same names.

Developer hub, AEMP 2.0 API: each element holds its value in a member named after its type. Values of states and most
units are not published; theirs are the likely ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_trackunit.emulator.machines.identity import dice
from airflow_provider_trackunit.emulator.machines.stays import Place, Stays
from airflow_provider_trackunit.emulator.machines.work import DAY_S, HOUR_S, Counters, Machine


@dataclass(frozen=True)
class Moment:
    """A machine at one moment: what it is, what its device says it has counted, and where it is.

    What is ``counted`` is not always what was done.
    """

    seed: int
    asset: int
    at: float
    machine: Machine
    counted: Counters
    stays: Stays
    nowhere: bool

    @property
    def place(self) -> Place:
        """Where it is, as far as the device knows."""
        place = self.stays.place(self.asset, self.at)
        # Without a fix of the satellites the altitude alone is known (developer hub: streaming).
        return place._replace(latitude=0.0, longitude=0.0) if self.nowhere else place

    @cached_property
    def last_24_hours(self) -> Counters:
        """What it has really done in the last 24 hours."""
        return self.machine.counters(self.at).less(self.machine.counters(self.at - DAY_S))


Reader = Callable[[Moment], dict[str, Any]]


def hours(share: Callable[[Moment], float]) -> Reader:
    """Return what reads a counter of hours."""
    return lambda moment: {"Hour": round(share(moment), 2)}


_DPF = "AfterTreatmentDieselParticulateFilter"
# The member that holds the value, and the elements that have it.
_MEASURES: dict[str, tuple[str, ...]] = {
    "speed": ("EngineSpeed", "WheelBasedVehicleSpeed", "Speed"),
    "pressure": (
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
    "temperature": (
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
    "level": ("EngineCoolantLevel", "HydraulicOilLevel"),
    "percentage": (
        "EnginePercentLoadAtCurrentSpeed",
        "ActualEnginePercentTorque",
        f"{_DPF}SootLoadPercent",
        f"{_DPF}AshLoadPercent",
        "PayloadPercentage",
        "EngineOilLevel",
        "PlatformHeightPercent",
        "BatteryStateOfChargePercent",
    ),
    "angle": ("PitchAngle", "RollAngle"),
    "current": ("BatteryCurrent", "AcPhaseL1RMSCurrent", "AcPhaseL2RMSCurrent", "AcPhaseL3RMSCurrent"),
    "voltage": (
        "AcPhaseL1NeutralRMSVoltage",
        "AcPhaseL2NeutralRMSVoltage",
        "AcPhaseL3NeutralRMSVoltage",
        "AcPhaseL1L2RMSVoltage",
        "AcPhaseL2L3RMSVoltage",
        "AcPhaseL3L1RMSVoltage",
    ),
    "frequency": ("AcPhaseL1Frequency", "AcPhaseL2Frequency", "AcPhaseL3Frequency"),
    "power": (
        "AcTotalActivePower",
        "AcPhaseL1ActivePower",
        "AcPhaseL2ActivePower",
        "AcPhaseL3ActivePower",
        "AcTotalApparentPower",
        "AcTotalReactivePower",
    ),
    "factor": ("AcTotalPowerFactor",),
    "length": ("PlatformHeight",),
    "payload": ("Payload",),
    "fuelConsumed": ("EngineTotalIdleFuelUsed",),
    "engineFuelRate": ("EngineFuelRate",),
    "engineTripFuel": ("EngineTripFuel",),
    "batteryPotential": ("BatteryPotential",),
    "batteryChargerOutputVoltage": ("BatteryChargerOutputVoltage",),
    "batteryChargerOutputCurrent": ("BatteryChargerOutputCurrent",),
    # The schema spells the members of these three in a way of its own.
    "generatorTotalkWHoursExport": ("GeneratorTotalKwHoursExport",),
    "aftertreatmentDieselExhaustFluidConcentration": ("AfterTreatmentDieselExhaustFluidConcentration",),
    "aftertreatmentDieselParticulateFilterTimeSinceLastActiveRegeneration": (
        f"{_DPF}TimeSinceLastActiveRegeneration",
    ),
}
# The member beside a value that says its unit.
_UNITS = {
    "speed": {"speedUnits": "KILOMETRE_PER_HOUR"},
    "power": {"unit": "WATT"},
    "payload": {"payloadUnits": "KILOGRAM"},
    "fuelConsumed": {"fuelUnits": "LITRE"},
}
_STATES: dict[str, tuple[str, ...]] = {
    "status": (
        f"{_DPF}PassiveRegenerationStatus",
        f"{_DPF}Status",
        f"{_DPF}ActiveRegenerationStatus",
        "OperationStatus",
        "PlatformElevated",
    ),
    "state": (
        "BatteryChargerState",
        "BatteryChargerPowerLineState",
        "AmberWarningLamp",
        "DieselParticulateFilterLampCommand",
        "ExhaustSystemHighTemperatureLampCommand",
        "MalfunctionIndicatorLamp",
        "ProtectLamp",
        "RedStopLamp",
    ),
    "waterInFuelIndicator": ("WaterInFuelIndicator",),
    "seatBeltSwitch": ("SeatBeltSwitch",),
    "afterTreatmentScrOperatorInducementSeverity": ("AfterTreatmentScrOperatorInducementSeverity",),
    "dieselParticulateFilterActiveRegenerationInhibitedDuetoInhibitSwitch": (
        "DieselParticulateFilterActiveRegenerationInhibitedDueToInhibitSwitch",
    ),
    "hydraulicOilFilterRestrictionSwitch": ("HydraulicOilFilterRestrictionSwitch",),
    "serviceComponentIdentification": ("ServiceComponentIdentification",),
}


def _measure(name: str, member: str) -> Reader:
    units = _UNITS.get(member, {})
    return lambda moment: {member: round(_wave(moment, name) * 100, 1), **units}


def _state(name: str, member: str) -> Reader:
    return lambda moment: {member: "ON" if _wave(moment, name) > 0.9 else "OFF"}


def _wave(moment: Moment, what: str) -> float:
    """Return a number between 0 and 1 that differs from reading to reading."""
    bits = dice(moment.seed, moment.asset, what)
    return (int(moment.at // 60) * (3 + bits[0]) + bits[1]) % 997 / 997


#: What ``addExtendedData=true`` adds.
EXTENDED: dict[str, Reader] = {
    "CumulativeMovingHours": hours(lambda moment: moment.counted.moving_hours),
    "CumulativeProductiveHours": hours(
        lambda moment: moment.counted.operating_hours - moment.counted.idle_hours
    ),
    "CumulativeEngineHours": hours(lambda moment: moment.machine.seconds(moment.at).running / HOUR_S),
    **{name: _measure(name, member) for member, names in _MEASURES.items() for name in names},
    **{name: _state(name, member) for member, names in _STATES.items() for name in names},
}
