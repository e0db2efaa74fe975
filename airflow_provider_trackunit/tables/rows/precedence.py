"""Which of several rows with one key stands: that of the result that finished last."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What rows are told apart by, beside their key: of which result they are (a larger number finished later), which of
#: them is preferred within one result (the larger value, where there is one), and else their place (the later).
ORDER: Final = ("rank", "preference", "place")

#: How rows are taken together where a null is a value too, as of a counter whose first reading has none before it.
NULLS_TOO: Final = pc.ScalarAggregateOptions(skip_nulls=False, min_count=0)


def one_per_key(rows: Any, key: Sequence[str], told: Sequence[str]) -> Any:
    """Return the rows that stand, ordered by their key, with a column ``conflict``.

    :param rows: with the columns of ``ORDER``
    :param told: the columns in which two rows of one result and one key conflict when they differ
    """
    order = [(name, "ascending") for name in key] + [(name, "descending") for name in ORDER]
    rows = rows.sort_by(order).combine_chunks()
    begins = pc.invert(reduce(pc.and_, [equals_former(rows[name]) for name in key]))
    rank = rows["rank"]
    standing = pc.equal(rank, pc.fill_null_forward(pc.if_else(begins, rank, pa.scalar(None, rank.type))))
    # The former row is of the same result too: ranks fall within a key.
    differs = pc.invert(reduce(pc.and_, [equals_former(rows[name]) for name in told]))
    conflicts = reduce(pc.and_, [pc.invert(begins), standing, differs])
    numbers = pc.cumulative_sum(begins.cast(pa.int64()))
    groups = pa.table({"number": numbers, "conflict": conflicts}).group_by("number", use_threads=False)
    conflict = groups.aggregate([("conflict", "any", NULLS_TOO)])["conflict_any"]
    return rows.filter(begins).append_column("conflict", conflict)


def equals_former(column: Any) -> Any:
    """Return for each row whether it has the value of the row before it; two nulls are equal."""
    before = former(column)
    equal = pc.fill_null(pc.equal(column, before), False)
    return pc.or_(equal, pc.and_(pc.is_null(column), pc.is_null(before)))


def former(column: Any) -> Any:
    """Return for each row the value of the row before it, null for the first."""
    if not len(column):
        return column
    none = pa.nulls(1, column.type)
    chunks = column.slice(0, len(column) - 1)
    return pa.chunked_array([none, *(chunks.chunks if isinstance(chunks, pa.ChunkedArray) else [chunks])])
