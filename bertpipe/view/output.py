"""Read an output folder for showing: its columns, and the rows that are wanted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bertpipe.errors import OutputError
from bertpipe.output.footer import Part
from bertpipe.output.inventory import parts
from bertpipe.view.where import Where

_BATCH_ROWS = 256


@dataclass(frozen=True)
class Output:
    """The parts of a finished or unfinished output, in corpus order."""

    folder: Path
    parts: tuple[Part, ...]

    @property
    def schema(self) -> pa.Schema:
        return self.parts[0].schema

    @property
    def text_field(self) -> str:
        return self.parts[0].job.text_field

    @property
    def n_rows(self) -> int:
        return sum(part.n_rows for part in self.parts)

    @property
    def models(self) -> dict[str, str]:
        """Return the names of the models by column, as far as the run recorded them."""
        recorded = self.parts[0].job.recorded.get("components", ())
        return {each["name"]: Path(each["model"]).name for each in recorded if each.get("model")}

    def questions(self, column: str) -> dict[str, str]:
        """Return the text of each question that the settings of a component name."""
        settings = self.parts[0].job.fingerprint.get(f"component {column}", {})
        return dict(settings.get("questions") or {})


def open_output(folder: Path) -> Output:
    """Return what a folder holds.

    Raises:
        OutputError: It is no output, is damaged, or does not hold the texts.
    """
    found = list(parts(folder))
    if not found:
        raise OutputError(f"{folder} holds no annotated output; name a folder that a run wrote.")
    for path, part in found:
        if part is None:
            raise OutputError(f"{path} is damaged; run the same `bertpipe run` again to mend it.")
    output = Output(folder, tuple(part for _, part in found if part is not None))
    if output.text_field not in output.schema.names:
        raise OutputError(
            f"{folder} has no column {output.text_field!r}, so there are no texts to show; run with"
            f" --keep {output.text_field} as well."
        )
    return output


def rows(
    output: Output, *, columns: Sequence[str], where: Sequence[Where], limit: int
) -> Iterator[dict[str, Any]]:
    """Yield the first `limit` rows that meet every condition, as dicts with the columns."""
    n_left = limit
    needed = {*columns, *(name for condition in where for name in condition.columns)}
    for batch in batches(output, sorted(needed)):
        chosen = np.ones(batch.num_rows, dtype=bool)
        for condition in where:
            chosen &= condition.mask(batch)
        places = np.flatnonzero(chosen)[:n_left]
        yield from batch.select(columns).take(pa.array(places)).to_pylist()
        n_left -= len(places)
        if not n_left:
            return


def batches(output: Output, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield all rows, some at a time."""
    for part in output.parts:
        with pq.ParquetFile(part.path) as file:
            yield from file.iter_batches(_BATCH_ROWS, columns=columns)
