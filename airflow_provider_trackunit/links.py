"""The buttons beside a task in Airflow's web interface.

Airflow 2 asks for a link when somebody looks, and knows of the operator what its DAG says; Airflow 3 asks at the end of
the task, on the worker, and keeps the answer. An empty link is a button that leads nowhere, and cannot be pressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_trackunit._compat import BaseOperatorLink, returned_before_airflow_3
from airflow_provider_trackunit.iris.catalogue.hub import page_of

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class DeveloperHubLink(BaseOperatorLink):
    """Leads to the page of Trackunit's developer hub that documents the endpoint of a task."""

    name = "Trackunit developer hub"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the page."""
        return page_of(str(operator.endpoint), str(operator.method))


class ResultFolderLink(BaseOperatorLink):
    """Leads to the folder of a transfer's result, in the console of its store where there is one that a URL leads to."""

    name = "Result folder"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the folder, empty where there is none."""
        found = returned_before_airflow_3(ti_key)
        if found is None:
            return console_url(str(operator.output_path))
        return console_url(found["output_path"]) if isinstance(found, dict) and "output_path" in found else ""


def console_url(folder: str) -> str:
    """Return where the console of a store shows a folder: of Amazon S3 and Google Cloud Storage, else empty.

    Azure's portal shows a container only to who knows its subscription and resource group, which no path names.
    """
    from airflow_provider_trackunit.storage import dataset_of

    store, key = dataset_of(folder)
    scheme, _, bucket = store.partition("://")
    key = "" if key == "/" else f"{quote(key)}/"
    if scheme in {"s3", "s3a"}:
        return f"https://s3.console.aws.amazon.com/s3/buckets/{quote(bucket)}?prefix={key}"
    if scheme in {"gs", "gcs"}:
        return f"https://console.cloud.google.com/storage/browser/{quote(bucket)}/{key}"
    return ""
