"""Site history becomes visits: where a machine was, from when, for how long, and what stands when IRIS rewrites it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.tables import site_visits
from airflow_provider_trackunit.tables.schemas import SITE_VISITS

from .results import FLEET, HISTORY, SITES, result, utc

if TYPE_CHECKING:
    from pathlib import Path

ENTERED = "2026-01-15T06:00:00Z"


def stay(
    left_at: str | None, site: str = "s1", asset: str = "a1", entered_at: Any = ENTERED
) -> dict[str, Any]:
    return {"siteId": site, "assetId": asset, "enteredAt": entered_at, "leftAt": left_at}


def rows(*manifests: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site_visits(list(manifests)).to_pylist()
    return found


def test_a_visit_has_its_length_and_the_name_of_its_site(tmp_path: Path) -> None:
    history = result(tmp_path, HISTORY, [stay("2026-01-15T06:01:30.5Z")])
    sites = result(tmp_path, SITES, [{"id": "s1", "name": "Havnegade"}, {"id": "s2", "name": "Depot"}])
    assert rows(history, sites) == [
        {
            "asset": "a1",
            "site": "s1",
            "site_name": "Havnegade",
            "entered_at": utc("2026-01-15T06:00"),
            "left_at": utc("2026-01-15T06:01:30.5"),
            "seconds": 90.5,
        }
    ]
    assert [row["site_name"] for row in rows(history)] == [None]


def test_a_visit_that_goes_on_has_no_end_and_no_length(tmp_path: Path) -> None:
    (row,) = rows(result(tmp_path, HISTORY, [stay(None)]))
    assert (row["left_at"], row["seconds"]) == (None, None)


def test_the_result_that_finished_last_says_how_long_a_visit_was(tmp_path: Path) -> None:
    going_on = result(tmp_path, HISTORY, [stay(None)])
    over = result(tmp_path, HISTORY, [stay("2026-01-15T07:00:00Z")], "2026-01-16T06:00:00Z")
    rewritten = result(tmp_path, HISTORY, [stay("2026-01-15T06:30:00Z")], "2026-01-17T06:00:00Z")
    assert [row["seconds"] for row in rows(over, going_on)] == [3600.0]
    assert [row["seconds"] for row in rows(rewritten, over, going_on)] == [1800.0]


def test_visits_are_told_apart_by_machine_site_and_entry(tmp_path: Path) -> None:
    different = [
        stay(None, "s1", "a1", "2026-01-14T06:00:00Z"),
        stay(None, "s1", "a1", ENTERED),
        stay(None, "s2", "a1", ENTERED),
        stay(None, "s1", "a2", ENTERED),
    ]
    found = rows(result(tmp_path, HISTORY, [*different[::-1], *different]))
    assert [(row["asset"], row["site"], row["entered_at"].day) for row in found] == [
        ("a1", "s1", 14),
        ("a1", "s1", 15),
        ("a1", "s2", 15),
        ("a2", "s1", 15),
    ]


def test_records_that_do_not_say_who_was_where_and_when_are_no_visits(tmp_path: Path) -> None:
    broken = [stay(None, site=""), stay(None, asset=" "), stay(None, entered_at="soon"), {}]
    assert rows(result(tmp_path, HISTORY, broken)) == []


def test_a_visit_that_ends_before_it_begins_has_no_length(tmp_path: Path) -> None:
    (row,) = rows(result(tmp_path, HISTORY, [stay("2026-01-14T06:00:00Z")]))
    assert row["seconds"] is None


def test_the_newest_name_of_a_site_counts(tmp_path: Path) -> None:
    history = result(tmp_path, HISTORY, [stay(None)])
    newer = result(tmp_path, SITES, [{"id": "s1", "name": "New"}], "2026-01-17T06:00:00Z")
    older = result(tmp_path, SITES, [{"id": "s1", "name": "Old"}])
    assert [row["site_name"] for row in rows(newer, older, history)] == ["New"]


def test_empty_results_make_an_empty_table_of_the_same_schema(tmp_path: Path) -> None:
    for table in (
        site_visits([]),
        site_visits(result(tmp_path, HISTORY, [])),
        site_visits(result(tmp_path, HISTORY, [stay(None)])),
    ):
        assert table.schema.equals(SITE_VISITS, check_metadata=True)
    assert len(site_visits([])) == 0


def test_a_result_of_another_endpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither the history of sites nor their list"):
        site_visits(result(tmp_path, FLEET, []))
