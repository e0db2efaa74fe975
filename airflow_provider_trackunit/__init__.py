"""Apache Airflow provider for Trackunit IRIS."""

from __future__ import annotations

from typing import Any

__all__ = ["__version__", "get_provider_info"]

__version__ = "0.1.0"

_NAME = "Trackunit"
_PACKAGE = "airflow_provider_trackunit"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow's provider manager wants to know of this package."""
    from airflow_provider_trackunit import connection

    return {
        "package-name": "airflow-provider-trackunit",
        "name": _NAME,
        "description": "Complete, resumable extraction of machine data from Trackunit IRIS.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _NAME,
                "external-doc-url": "https://developers.trackunit.com",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.hooks"]}],
        "operators": [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.operators"]}],
        "sensors": [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.sensors"]}],
        "transfers": [
            {
                "source-integration-name": _NAME,
                "target-integration-name": "Object Storage",
                "python-module": f"{_PACKAGE}.transfers",
            }
        ],
        "triggers": [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.triggers"]}],
        # Airflow 3.2 and newer; older ones pass over it.
        "cli": [f"{_PACKAGE}.probe.get_cli_commands"],
        "extra-links": [f"{_PACKAGE}.links.DeveloperHubLink", f"{_PACKAGE}.links.ResultFolderLink"],
        "connection-types": [
            {
                "connection-type": connection.CONN_TYPE,
                "hook-class-name": f"{_PACKAGE}.hooks.IrisHook",
                "hook-name": connection.HOOK_NAME,
                **connection.metadata(),
            }
        ],
    }
