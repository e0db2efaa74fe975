"""What OpenLineage is told of a task, by Airflow's own extractor."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AirflowFailException
from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"
CONTEXT: Any = {"ti": SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)}


def extractor_of(operator: Any) -> Any:
    manager = import_module("airflow.providers.openlineage.extractors.manager").ExtractorManager()
    return manager._get_extractor(operator)


def transfer(folder: Path, **arguments: Any) -> IrisToObjectStorageOperator:
    return IrisToObjectStorageOperator(
        task_id="t", endpoint=ASSETS, output_path=f"file://{folder}", **arguments
    )


def test_a_transfer_tells_of_its_endpoint_and_its_folder_once_with_its_size(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    operator = transfer(tmp_path)
    manifest = operator.execute(CONTEXT)
    told = extractor_of(operator).extract_on_complete(None)
    assert [(one.namespace, one.name) for one in told.inputs] == [(iris_connection.url, ASSETS)]
    (output,) = told.outputs
    assert (output.namespace, output.name) == ("file", str(tmp_path))
    statistics = output.outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.size) == (250, manifest["parts"][0]["bytes"])
    assert "schema" not in output.facets  # JSON Lines have none


def test_a_result_in_parquet_tells_of_its_columns(iris_connection: IrisEmulator, tmp_path: Path) -> None:
    columns = {"id": ("id", "string"), "last_seen": ("lastSeen", "timestamp")}
    operator = transfer(tmp_path, file_format="parquet", columns=columns)
    operator.execute(CONTEXT)
    (output,) = extractor_of(operator).extract_on_complete(None).outputs
    fields = {field.name: field.type for field in output.facets["schema"].fields}
    assert fields.items() >= {"id": "string", "last_seen": "timestamp"}.items()


def test_a_transfer_that_failed_tells_what_it_read_and_nothing_of_what_the_folder_holds(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    transfer(tmp_path).execute(CONTEXT)
    iris_connection.fault(path=ASSETS, kind="status", status=403, times=None)
    operator = transfer(tmp_path)
    with pytest.raises(AirflowFailException):
        operator.execute(CONTEXT)
    told = extractor_of(operator).extract_on_failure(None)
    assert [(one.namespace, one.name) for one in told.inputs] == [(iris_connection.url, ASSETS)]
    (output,) = told.outputs
    assert (output.namespace, output.name) == ("file", str(tmp_path))
    assert not output.outputFacets


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_the_operator_tells_which_endpoint_it_read(iris_connection: IrisEmulator, fails: bool) -> None:
    operator = IrisApiOperator(task_id="t", endpoint=f"{ASSETS}?size=1000")
    if fails:
        iris_connection.fault(path=ASSETS, kind="status", status=403, times=None)
        with pytest.raises(AirflowFailException):
            operator.execute(CONTEXT)
    else:
        operator.execute(CONTEXT)
    extractor = extractor_of(operator)
    told = extractor.extract_on_failure(None) if fails else extractor.extract_on_complete(None)
    assert [(one.namespace, one.name) for one in told.inputs] == [(iris_connection.url, ASSETS)]
    assert told.outputs == []


def test_a_task_that_failed_before_it_knew_its_connection_names_the_usual_origin(tmp_path: Path) -> None:
    told = extractor_of(transfer(tmp_path)).extract_on_failure(None)
    assert [one.namespace for one in told.inputs] == ["https://iris.trackunit.com"]
