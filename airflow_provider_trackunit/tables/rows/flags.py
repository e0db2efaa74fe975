"""Flags as lists of text, made from one column of true and false for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_trackunit.tables.schemas import FLAGS

if TYPE_CHECKING:
    from collections.abc import Mapping


def flag_lists(raised: Mapping[str, Any], length: int) -> Any:
    """Return for each row the sorted names of the columns that are true.

    :param raised: name of a flag -> a column of booleans; null counts as false. At most 62, the bits of an integer
    """
    names = sorted(raised)
    sets = pa.repeat(pa.scalar(0, pa.int64()), length)
    for number, name in enumerate(names):
        bit = pc.if_else(pc.fill_null(raised[name], False), 1 << number, 0)
        sets = pc.bit_wise_or(sets, bit)
    # Of all sets that are possible, few occur: each is written out once.
    known = pc.unique(sets)
    lists = [[name for number, name in enumerate(names) if one >> number & 1] for one in known.to_pylist()]
    return pa.array(lists, FLAGS).take(pc.index_in(sets, value_set=known))


def has_flag(flags: Any, name: str) -> Any:
    """Return for each list whether a flag is in it."""
    # Every flag between two commas, so that none is found inside another.
    joined = pc.binary_join_element_wise("", pc.binary_join(flags, ","), "", ",")
    return pc.match_substring(joined, f",{name},")
