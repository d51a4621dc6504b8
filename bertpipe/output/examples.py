"""Find an example of each type of error in an output."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertpipe.output.footer import Part
from bertpipe.records import ERROR, SOURCE


def error_examples(parts: Iterable[Part]) -> dict[str, str]:
    """Return the first message of each type; only parts that bring a new type are read."""
    found: dict[str, str] = {}
    for part in parts:
        wanted = part.errors.keys() - found.keys()
        if wanted:
            found |= _examples(part, wanted)
    return found


def _examples(part: Part, wanted: Iterable[str]) -> dict[str, str]:
    with pq.ParquetFile(part.path) as file:
        table = file.read([SOURCE, ERROR], use_threads=False)
    rows = table.filter(pc.is_valid(table.column(ERROR))).to_pylist()
    first = {row[ERROR]["type"]: row for row in reversed(rows)}
    return {kind: located(**first[kind]) for kind in wanted if kind in first}


def located(*, _source: Mapping[str, Any], _error: Mapping[str, Any]) -> str:
    """Return the message of a row in error; it names the row, also where a component failed."""
    if _error["stage"] == "read":
        return str(_error["message"])
    who = f"{_error['component']}: " if _error["component"] else ""
    return f"{_source['path']}, row {_source['row']}: {who}{_error['message']}"
