"""What is asked of each endpoint of the catalogue: one request that only reads, or the reason why there is none.

Pure. A placeholder is filled with what an earlier answer named, such as the id of the first asset, and that value is
used for this and noted nowhere.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.calls import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint

#: Which placeholder each list can fill, and the member of its records that does. The order of the catalogue is that of
#: the questions, so a list comes before what needs it.
_TELLS: Final[Mapping[str, Mapping[str, str]]] = {
    "/api/asset/v1/assets": {"assetId": "id", "pin": "serialNumber"},
    "/api/asset/v2/assets": {"assetId": "id", "pin": "serialNumber"},
    "/api/site/v1/sites": {"siteId": "id"},
    "/api/customer/v1/customers": {"customerId": "id"},
    "/api/alerts/v1/configurations": {"alertConfigurationId": "id"},
}

# The id of a machine is its number, padded with zeros (developer hub, page "REST APIs").
_MACHINE: Final = re.compile(r"00000000-0000-0000-0000-0*([1-9][0-9]*)")

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_MAY_BE_MISSING: Final = re.compile(r"\[/\{page\}\]")

# The cheapest that shows whether assets can be read, with what is left of the budget.
_GRAPHQL_QUERY: Final = (
    "query Probe { rateLimit { cost remaining resetIn } assets(first: 1) { edges { node { id } } } }"
)
_HOURS: Final = "machine_insight_cumulative_operating_hours"


@dataclass(frozen=True, slots=True)
class Question:
    """One request.

    :param arguments: in the words of :meth:`~airflow_provider_trackunit.iris.client.IrisClient.run`
    """

    endpoint: str
    method: str
    arguments: Mapping[str, Any] = field(repr=False)


@dataclass(slots=True)
class Known:
    """What can stand in the place of a placeholder so far.

    :param now: the end of the day before it is the end of every period that is asked for
    """

    now: dt.datetime
    values: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin with what needs no answer."""
        end = self.now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.values = {
            "datapoint": "CumulativeOperatingHours",
            "name": "__name__",
            "status": "OVERDUE",
            "startTime": end - dt.timedelta(days=1),
            "endTime": end,
        }

    def learn(self, path: str, records: Sequence[Any]) -> None:
        """Keep what the first records of a list can fill."""
        for placeholder, member in _TELLS.get(path, {}).items():
            found = (one.get(member) for one in records if isinstance(one, dict))
            value = next((one for one in found if isinstance(one, str) and one.strip()), None)
            if value is not None:
                self.values.setdefault(placeholder, value)
        self._learn_machine(records)

    def _learn_machine(self, records: Sequence[Any]) -> None:
        ids = (str(one.get("id")) for one in records if isinstance(one, dict))
        machine = next(filter(None, map(_MACHINE.fullmatch, ids)), None)
        if machine is not None:
            self.values.setdefault("machineId", machine[1])


def question(row: Endpoint, known: Known) -> Question | str:
    """Return what is asked of an endpoint, or why nothing is."""
    if "{*" in row.path:
        return "the first part of its path is not published"
    path = _MAY_BE_MISSING.sub("/1", row.path)
    names = _PLACEHOLDER.findall(path)
    missing = [name for name in names if name not in known.values]
    if missing:
        return f"no answer named a value for {', '.join(missing)}"
    method = "GET" if "GET" in row.methods and not path.endswith(_ASKED_BY_POST) else "POST"
    arguments = {
        "method": method,
        "path_params": {name: known.values[name] for name in names},
        "query_params": dict(_query(path, known.values)),
        "json": _body(path, known.values),
    }
    return Question(path, method, arguments)


# These are documented with their filter in a body, although the row names both methods.
_ASKED_BY_POST: Final = ("/can-faults/faults", "/can-faults/faults-summary")


def _query(path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the query that an endpoint needs to answer at all."""
    if path.endswith(("/prometheus/api/v1/query", "/prometheus/api/v1/query_range")):
        yield "query", _HOURS
    if path.endswith("/prometheus/api/v1/series"):
        yield "match[]", _HOURS
    if path.endswith(("/query_range", "/series", "/sites/history")):
        names = ("fromTime", "toTime") if path.endswith("/history") else ("start", "end")
        yield from zip(names, (values["startTime"], values["endTime"]), strict=True)
    if path.endswith("/query_range"):
        yield "step", "1h"
    if path.endswith("/assignments/service-status"):
        yield "assetId", values.get("assetId")
    if path.endswith("/custom-fields/v1/values"):
        yield "entityId", values.get("assetId")
    if path.endswith("/get-unit-active-faults"):
        yield "unitId", values.get("machineId")


def _body(path: str, values: Mapping[str, Any]) -> Any:
    """Return the body that an endpoint needs to answer at all; None for none."""
    period = {"from": values["startTime"], "to": values["endTime"]}
    interval = {name: utc_text(moment) for name, moment in period.items()}
    if path == "/api/graphql/":
        return {"query": _GRAPHQL_QUERY}
    if path.endswith("/asset-event/log"):
        return {"fromTime": interval["from"], "toTime": interval["to"]}
    if path.endswith("/assets/sites"):
        return {"assetIds": [values[name] for name in ("assetId",) if name in values]}
    if path.endswith(_ASKED_BY_POST):
        machines = [int(values[name]) for name in ("machineId",) if name in values]
        return {"canFaultsRequest": {"machineIds": machines, "interval": interval}}
    return {} if path.endswith(("/asset-event/active", "/compactions/trips")) else None
