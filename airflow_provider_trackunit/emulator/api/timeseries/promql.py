"""Reading Prometheus queries and arguments: selectors with a range, times, durations.

Which series exist stands here too. Functions and operators are refused as ``bad_data``.
"""

import re
from dataclasses import dataclass

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import RefusedError, json_answer

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": DAY_S, "w": 7 * DAY_S}
# Series name: the AEMP datapoint it is measured from, its member, extra labels.
METRIC_SOURCES: dict[str, tuple[str, str, dict[str, str]]] = {
    "machine_insight_cumulative_operating_hours": ("CumulativeOperatingHours", "Hour", {}),
    "machine_insight_engine_total_idle_hours": ("CumulativeIdleHours", "Hour", {}),
    "machine_insight_total_vehicle_distance": ("Distance", "Odometer", {}),
    "advanced_sensor_run_1": (
        "CumulativeMovingHours",
        "Hour",
        {"sensor_id": "run_1", "unit_of_measurement": "h"},
    ),
}
_SELECTOR = re.compile(
    r"\s*(?P<name>[A-Za-z_:](?:\w|:|\\.)*)?\s*(?P<labels>\{[^}]*\})?\s*(?:\[(?P<range>\d+)(?P<unit>[smhdw])\])?\s*"
)
_LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"([^"]*)"\s*')


@dataclass(frozen=True, slots=True)
class Selector:
    """What a query selects: series names, and how far back, if it says so."""

    names: list[str]
    range_s: float | None


def bad_data(message: str) -> RefusedError:
    """Return the exception that answers 400 the Prometheus way."""
    return RefusedError(json_answer({"status": "error", "errorType": "bad_data", "error": message}, 400))


def selector(query: str) -> Selector:
    """Return what a query selects.

    :raises RefusedError: for anything beyond a selector.
    """
    inner = re.fullmatch(r"\s*last_over_time\((.*)\)\s*", query)
    found = _SELECTOR.fullmatch(inner[1] if inner else query)
    if found is None or not (found["name"] or found["labels"]):
        raise bad_data(f"cannot parse the query '{query}'")
    labels = (found["labels"] or "").strip("{}")
    if _LABEL.sub("", labels).strip(", "):
        raise bad_data(f"only equality of labels is understood, not '{labels}'")
    wanted = dict(_LABEL.findall(labels))
    # One asset per call: naming it again in the query selects nothing further.
    wanted.pop("asset_id", None)
    if found["name"]:
        wanted["__name__"] = re.sub(r"\\(.)", r"\1", found["name"])
    names = [name for name in METRIC_SOURCES if _agrees(labels_of(name), wanted)]
    return Selector(names, float(found["range"]) * UNITS_S[found["unit"]] if found["range"] else None)


def _agrees(labels: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(labels.get(name) == text for name, text in wanted.items())


def labels_of(name: str) -> dict[str, str]:
    """Return the labels of a series, without the asset."""
    return {"__name__": name, "version": "1", **METRIC_SOURCES[name][2]}


def required(asked: dict[str, str], name: str) -> str:
    """Return an argument that has to be there."""
    if name not in asked:
        raise bad_data(f"missing the parameter '{name}'")
    return asked[name]


def moment(text: str) -> float:
    """Return a time argument, ISO 8601 or unix seconds, as epoch seconds."""
    try:
        return float(text) if re.fullmatch(r"[\d.]+", text) else moments.read(text)
    except ValueError as exc:
        raise bad_data(f"cannot parse the time '{text}'") from exc


def duration(text: str) -> float:
    """Return a duration such as ``1d`` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text)
    if found is None or not float(found[1]):
        raise bad_data(f"cannot parse the duration '{text}'")
    return float(found[1]) * UNITS_S[found[2] or "s"]
