"""Lists of places in a text that are more than labels, such as tokens, as a small table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_ROWS = 50
MAX_CELL_CHARS = 100


@dataclass(frozen=True)
class Table:
    """The first of `n_rows` rows; each has a cell for every name, and its number before them."""

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_rows: int


def make_table(text: str, values: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> Table:
    """Return a table of the text of each place and of the fields that any shown row has."""
    shown = values[:MAX_ROWS]
    names = [name for name in fields if any(value[name] is not None for value in shown)]
    rows = [
        [_cell(text[value["start"] : value["end"]]), *(_cell(value[name]) for name in names)]
        for value in shown
    ]
    return Table(["text", *names], rows, len(values))


def _cell(value: object) -> str:
    found = _told(value)
    return found if len(found) <= MAX_CELL_CHARS else f"{found[:MAX_CELL_CHARS]}…"


def _told(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, Mapping):
        return " ".join(map(_told, value.values()))
    return ", ".join(map(_told, value)) if isinstance(value, list) else str(value)
