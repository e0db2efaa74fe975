"""Records are taken apart into columns and the rest, and together these are the records again."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.typed.declaring import REST, columns_for
from airflow_provider_trackunit.iris.export.typed.paths import read_path
from airflow_provider_trackunit.iris.export.typed.taking import Taken, Taker

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.catalogue.columns.column import Column

Row = dict[str, Any]


def rows_of(columns: list[Column], taken: Taken) -> list[Row]:
    values = [list(taken.column(number)) for number in range(len(columns))]
    return [dict(zip((one.name for one in columns), row, strict=True)) for row in zip(*values, strict=True)]


def take(declared: dict[str, tuple[str, str]], *texts: str) -> list[Row]:
    columns = columns_for("/", columns=declared)
    return rows_of(columns, Taker(columns).take([text.encode() for text in texts]))


def take_fleet(record: str) -> Row:
    columns = columns_for("/public/api/aemp/v2/15143/-3/Fleet")
    return rows_of(columns, Taker(columns).take([record.encode()]))[0]


def test_what_no_column_takes_stays_in_the_rest_digit_for_digit() -> None:
    (row,) = take(
        {"pin": ("Header.PIN", "string")},
        '{"Header":{"PIN":"A1","n":1.10},"big":12345678901234567890,"e":1e400,"t":[ 1 ,2]}',
    )
    assert row["pin"] == "A1"
    assert row["_extra"] == '{"big":12345678901234567890,"e":1e400,"t":[ 1 ,2],"Header":{"n":1.10}}'


def test_where_nothing_is_left_the_rest_is_null() -> None:
    (row,) = take({"pin": ("Header.PIN", "string")}, '{"Header":{"PIN":"A1"}}')
    assert row == {"pin": "A1", "_extra": None}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("{}", "{}"),
        ('{"Header":{}}', '{"Header":{}}'),
        ('{"Header":null}', None),
        ('{"Header":{"PIN":null}}', None),
        ('{"Header":5}', '{"Header":5}'),
        ('{"Header":{"PIN":5}}', '{"Header":{"PIN":5}}'),
        ('"an-id"', '"an-id"'),
        ("[1]", "[1]"),
        ("null", None),
    ],
)
def test_a_record_of_another_shape_is_kept_in_the_rest(text: str, rest: str | None) -> None:
    assert take({"pin": ("Header.PIN", "string")}, text) == [{"pin": None, "_extra": rest}]


def test_elements_of_a_list_have_columns_and_a_list_with_something_left_stays_whole() -> None:
    declared = {"longitude": ("at[0]", "double"), "latitude": ("at[1]", "double")}
    assert take(
        declared, '{"at":[12.5,55.6]}', '{"at":[12.5,55.6,14]}', '{"at":[12.5,null]}', '{"at":[]}'
    ) == [
        {"longitude": 12.5, "latitude": 55.6, "_extra": None},
        {"longitude": 12.5, "latitude": 55.6, "_extra": '{"at":[12.5,55.6,14]}'},
        {"longitude": 12.5, "latitude": None, "_extra": '{"at":[12.5,null]}'},
        {"longitude": None, "latitude": None, "_extra": '{"at":[]}'},
    ]


def test_the_record_itself_can_be_a_column() -> None:
    assert take({"asset": ("@", "string")}, '"a"', "5") == [
        {"asset": "a", "_extra": None},
        {"asset": None, "_extra": "5"},
    ]


def test_an_item_is_text_in_its_columns_and_what_has_none_is_in_the_rest() -> None:
    columns = columns_for("/", columns={"id": ("id", "string")}, item_names=["pin", "day"])
    lines = [
        b'{"_request":{"pin":"A \\"1\\"","day":null},"id":"a"}',
        b'{"_request":{"pin":1500000,"day":true},"id":"b"}',
        b'{"_request":{"pin":[1],"more":"x"},"id":"c"}',
    ]
    assert rows_of(columns, Taker(columns).take(lines)) == [
        {"id": "a", "_request_pin": 'A "1"', "_request_day": None, "_extra": None},
        {"id": "b", "_request_pin": "1500000", "_request_day": "true", "_extra": None},
        {
            "id": "c",
            "_request_pin": None,
            "_request_day": None,
            "_extra": '{"_request":{"more":"x","pin":[1]}}',
        },
    ]


@pytest.mark.parametrize("header", ["EquipmentHeader", "equipmentHeader"])
@pytest.mark.parametrize("hours", ["CumulativeOperatingHours", "cumulativeOperatingHours"])
def test_members_of_aemp_are_found_with_a_capital_and_a_small_letter(header: str, hours: str) -> None:
    record = {
        header: {"OEMName": "Acme", "pIN": "A1"},
        hours: {"hour": 5, "Datetime": "2026-01-15T06:00:00Z"},
    }
    row = take_fleet(json.dumps(record))
    assert (row["oem_name"], row["pin"], row["cumulative_operating_hours"]) == ("Acme", "A1", 5.0)
    assert row["cumulative_operating_hours_datetime"].isoformat() == "2026-01-15T06:00:00+00:00"
    assert row["_extra"] is None


@pytest.mark.parametrize("member", ["EquipmentHeader", "equipmentHeader"])
def test_so_are_those_that_the_caller_names(member: str) -> None:
    """Nothing documents their JSON, and what a caller writes is from the XML, from an older answer, or from the docs here."""
    declared = {"pin": ("EquipmentHeader.PIN", "string"), "name": ("equipmentHeader.oEMName", "string")}
    columns = columns_for("/public/api/aemp/v2/15143/-3/Fleet", columns=declared)
    record = {member: {"PIN": "A1", "OEMName": "Acme"}}
    (row,) = rows_of(columns, Taker(columns).take([json.dumps(record).encode()]))
    assert row == {"pin": "A1", "name": "Acme", "_extra": None}


def test_a_member_in_both_spellings_fills_its_column_once_and_the_other_stays_in_the_rest() -> None:
    row = take_fleet('{"Distance":{"Odometer":1},"distance":{"odometer":2,"odometerUnits":"KILOMETRE"}}')
    assert (row["distance"], row["distance_units"]) == (1.0, "KILOMETRE")
    assert row["_extra"] == '{"distance":{"odometer":2}}'


def test_a_value_that_does_not_fit_is_counted_for_the_column_and_a_block_for_each_of_its_columns() -> None:
    columns = columns_for("/", columns={"a": ("x.a", "int64"), "b": ("x.b", "string"), "c": ("c", "date")})
    taken = Taker(columns).take([b'{"x":{"a":1.5,"b":"ok"}}', b'{"x":7}', b'{"c":"2026-01-15"}', b"[]"])
    assert sorted(taken.misfits) == [
        (0, 0, "number"),
        (0, 1, "number"),
        (0, 3, "list"),
        (1, 1, "number"),
        (1, 3, "list"),
        (2, 3, "list"),
    ]


# -- any record at all

members = st.sampled_from(["a", "b", "c", "A", "", "x y"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["2026-01-15", "2026-01-15T06:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=4),
    max_leaves=12,
)
steps = st.lists(
    st.sampled_from(["a", "b", "c", "value", '"x y"', "[0]", "[1]"]), min_size=1, max_size=3
).map(lambda parts: "".join(part if part[0] == "[" else f".{part}" for part in parts).removeprefix("."))
kinds = st.sampled_from(["string", "boolean", "int64", "double", "date", "json"])
declared = st.dictionaries(st.sampled_from("pqrst"), st.tuples(steps, kinds), min_size=1, max_size=4)


@given(st.lists(values, min_size=1, max_size=5), declared, st.booleans())
def test_columns_and_rest_are_the_record_again(records: list[Any], wanted: Any, wants_item: bool) -> None:
    try:
        columns = columns_for("/", columns=wanted, item_names=["pin"] if wants_item else [])
    except IrisConfigurationError:
        return  # two columns of one value
    texts = [json.dumps(record, ensure_ascii=False) for record in records]
    lines = [f'{{"_request":{{"pin":"P"}},"value":{text}}}' for text in texts] if wants_item else texts
    rows = rows_of(columns, Taker(columns).take([line.encode() for line in lines]))
    for line, row in zip(lines, rows, strict=True):
        assert row.get("_request_pin", "P") == "P"
        assert same(without_nulls(rebuilt(columns, row)), without_nulls(json.loads(line)))


def rebuilt(columns: list[Column], row: Row) -> Any:
    """Return the record that a row was made of: the slow and obvious way back."""
    record = None if row["_extra"] is None else json.loads(row["_extra"])
    for column in columns:
        value = row.get(column.name)
        if column is REST or value is None:
            continue
        value = json.loads(value) if column.type == "json" else value
        record = put(record, read_path(column.path), value.isoformat() if column.type == "date" else value)
    return record


def put(holder: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    step = path[0]
    if isinstance(step, int):
        holder = deepcopy(holder) if holder is not None else []
        holder += [None] * (step + 1 - len(holder))
        holder[step] = put(holder[step], path[1:], value)
        return holder
    holder = {} if holder is None else holder
    return {**holder, step: put(holder.get(step), path[1:], value)}


_NOTHING = object()


def without_nulls(value: Any) -> Any:
    """Return a value without members that are null, or in which there is nothing else."""
    kept = _kept(value)
    return None if kept is _NOTHING else kept


def _kept(value: Any) -> Any:
    if value is None:
        return _NOTHING
    if isinstance(value, list):
        return [None if (one := _kept(inner)) is _NOTHING else one for inner in value]
    if isinstance(value, dict) and value:
        kept = {name: one for name, inner in value.items() if (one := _kept(inner)) is not _NOTHING}
        return kept or _NOTHING
    return value


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; true is not 1, while 1 and 1.0 are one number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)
