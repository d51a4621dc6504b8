"""Count what is in an annotated chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.output.examples import located
from bertpipe.records import ERROR, N_TOKENS, SOURCE


def summarise(annotated: pa.RecordBatch, names: Iterable[str]) -> dict[str, Any]:
    """Count the rows, tokens, errors and labels of an annotated chunk."""
    errors = annotated.column(ERROR)
    rows = annotated.select([SOURCE, ERROR]).filter(errors.is_valid()).to_pylist()
    counted = ((name, count_labels(annotated.column(name))) for name in names)
    return {
        "n_rows": annotated.num_rows,
        "n_tokens": pc.sum(annotated.column(N_TOKENS)).as_py() or 0,
        "errors": Counter(row[ERROR]["type"] for row in rows),
        "examples": {row[ERROR]["type"]: located(**row) for row in reversed(rows)},
        "labels": {name: counts for name, counts in counted if counts is not None},
    }


def count_labels(column: pa.Array) -> dict[str, int] | None:
    """Count the labels of a column of structs or of lists of structs; of answers, the questions.

    Of a struct without labels it counts those of its first field that has some. None is for a type
    without labels.
    """
    if pa.types.is_list(column.type):
        column = column.flatten()
    if not pa.types.is_struct(column.type):
        return None
    names = [name for name in ("label", "question") if column.type.get_field_index(name) >= 0]
    if not names:
        counted_fields = map(count_labels, column.flatten())
        return next((counts for counts in counted_fields if counts is not None), None)
    counted = pc.struct_field(column, names[0]).drop_null().value_counts()
    return {each["values"]: each["counts"] for each in counted.to_pylist()}
