"""The example with a task instance for each machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.example_dags.conftest import MAPPED
from tests.example_dags.test_run import FLEET, records_in

if TYPE_CHECKING:
    from tests.example_dags.conftest import Runs


def test_each_mapped_instance_reads_one_machine_into_a_folder_of_its_own(example_runs: Runs) -> None:
    run = example_runs["iris_mapped_machines"]
    (folder,) = (run.output / "mapped_machines").iterdir()
    assert len(records_in(folder / "fleet", run.result("fleet"))) == 200
    asked = [request["path"] for request in run.asked("/CumulativeOperatingHours/")]
    manifests = [
        json.loads((folder / "hours" / str(number) / "_manifest.json").read_bytes())
        for number in range(MAPPED)
    ]
    assert len(set(asked)) == len(asked) == MAPPED
    assert all(path.startswith(f"{FLEET}/Equipment/ID/") for path in asked)
    assert len(list((folder / "hours").iterdir())) == MAPPED
    for number, manifest in enumerate(manifests):
        assert len(records_in(folder / "hours" / str(number), manifest)) == manifest["records"] > 0
