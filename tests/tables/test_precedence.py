"""Whatever results say, in whatever order they are given: the readings that stand are those of the rules."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_trackunit.tables import readings

from . import reference
from .results import SERIES, of, result

#: An example writes files.
EXAMPLES = settings().max_examples // 4

BEGIN = dt.datetime(2026, 1, 15, 6, tzinfo=dt.UTC)
MEMBERS = {"Distance": ("Odometer", "OdometerUnits"), "EngineSpeed": ("Speed", "SpeedUnits")}

said = st.builds(
    lambda asset, metric, minute, value, unit: {
        "asset": asset,
        "metric": metric,
        "observed_at": BEGIN + dt.timedelta(minutes=minute),
        "value": value,
        "unit": unit,
    },
    st.sampled_from(["ACM1", "ACM2"]),
    st.sampled_from(list(MEMBERS)),
    st.sampled_from([0, 1, 5, 6, 60]),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.sampled_from(["A", "B"]),
)
# Two results never finish at once: which is later then is said by the order in which they are given, and tested alone.
finished = st.lists(st.integers(0, 8), unique=True, max_size=4)


@settings(max_examples=EXAMPLES)
@given(minutes=finished, data=st.data())
def test_the_readings_that_stand_are_those_of_the_rules(minutes: list[int], data: st.DataObject) -> None:
    results = [
        (BEGIN + dt.timedelta(minutes=minute), data.draw(st.lists(said, max_size=8))) for minute in minutes
    ]
    with tempfile.TemporaryDirectory() as folder:
        manifests = [
            result(Path(folder), SERIES, [_record(one) for one in told], at.isoformat())
            for at, told in results
        ]
        found = readings(data.draw(st.permutations(manifests))).to_pylist()
    names = ["asset", "metric", "observed_at", "value", "unit", "flags"]
    assert [{name: row[name] for name in names} for row in found] == reference.standing(results)


def _record(one: dict[str, Any]) -> dict[str, Any]:
    value, unit = MEMBERS[one["metric"]]
    block = {"datetime": one["observed_at"].isoformat(), value: one["value"], unit: one["unit"]}
    return of(one["asset"], one["metric"], block)
