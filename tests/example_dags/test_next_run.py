"""What a recipe says of the run that follows."""

from __future__ import annotations

import gzip
import itertools
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from scripts.airflow_home import AirflowHome


def test_the_next_run_begins_an_hour_before_the_newest_event_that_is_stored(
    tmp_path: Path, migrated_home: AirflowHome, iris_emulator: IrisEmulator
) -> None:
    home = migrated_home.copied(tmp_path / "home")
    params = {"output": f"file://{tmp_path}/output"}
    connection = iris_emulator.connection_json()
    first = home.test_dag("iris_incremental_events", connection, "2026-01-14T03:05", 180, params)
    second = home.test_dag("iris_incremental_events", connection, "2026-01-15T05:05", 180, params)
    bodies = [json.loads(request["body"]) for request in iris_emulator.requests("/asset-event/log")]
    period = [datetime.fromisoformat(bodies[0][name]) for name in ("fromTime", "toTime")]
    assert period[1] - period[0] == timedelta(days=1)
    newest = datetime.fromisoformat(first["remember"].result["newest"])
    assert newest <= period[1]
    assert datetime.fromisoformat(bodies[1]["fromTime"]) == newest - timedelta(hours=1)
    assert first["remember"].result["events"] == first["events"].result["records"] == 144
    # The emulator has an event every ten minutes; there is no gap between the runs.
    stored = sorted(
        json.loads(line)["eventTime"]
        for part in (tmp_path / "output").rglob("part-*")
        for line in gzip.decompress(part.read_bytes()).splitlines()
    )
    moments = [datetime.fromisoformat(text) for text in dict.fromkeys(stored)]
    assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {timedelta(minutes=10)}
    assert len(stored) == first["events"].result["records"] + second["events"].result["records"]
    assert moments[-1] - period[1] > timedelta(days=1)
