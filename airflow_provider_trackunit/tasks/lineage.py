"""What OpenLineage is told: which endpoint of IRIS was read, and what became of it. Imported by its listener alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.iris.calls import BASE_URL

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_from(origin: str | None, endpoint: str) -> Any:
    """Return what was read: an endpoint, without a query.

    :param origin: of the API; None when a task failed before it read its connection
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    return Dataset(namespace=origin or BASE_URL, name=endpoint)


def written_to(folder: str, manifest: Mapping[str, Any] | None) -> Any:
    """Return the folder of a result: with its number of records, and its columns where the format has some.

    :param manifest: None for one that did not come about, where there is nothing to say of what the folder holds
    """
    from airflow.providers.common.compat.openlineage.facet import (
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )

    from airflow_provider_trackunit.storage import dataset_of

    namespace, name = dataset_of(folder)
    if manifest is None:
        return OutputDataset(namespace=namespace, name=name)
    columns = [
        SchemaDatasetFacetFields(name=column["name"], type=column["type"], description=column["unit"])
        for column in manifest["columns"] or ()
    ]
    size = sum(part["bytes"] for part in manifest["parts"])
    statistics = OutputStatisticsOutputDatasetFacet(rowCount=manifest["records"], size=size)
    return OutputDataset(
        namespace=namespace,
        name=name,
        facets={"schema": SchemaDatasetFacet(fields=columns)} if columns else {},
        outputFacets={"outputStatistics": statistics},
    )


def lineage(inputs: list[Any], outputs: list[Any]) -> Any:
    """Return what a method that OpenLineage asks gives back."""
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(inputs=inputs, outputs=outputs)
