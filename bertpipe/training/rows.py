"""Rows of data files: JSON lines, CSV, TSV and Parquet, each with its place for messages."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Any

from bertpipe.errors import CorpusError
from bertpipe.training.settings import Source

Row = Mapping[str, Any]
MAX_FIELD_CHARS = 100_000_000


def read_rows(source: Source) -> Iterator[tuple[str, Row]]:
    """Yield place (file and line) and values of every row of a file, or of all files of a folder.

    Raises:
        CorpusError: A file does not exist, or a row cannot be read.
    """
    readers: Mapping[str, Callable[[Path], Iterator[tuple[str, Row]]]] = {
        ".jsonl": _json_lines,
        ".json": _json_lines,
        ".parquet": _parquet,
        ".csv": lambda path: _delimited(path, source.columns, delimiter=",", strict=True),
    }
    for path in data_files(source.path):
        # What has another name is taken for TSV, in which a quote is a character as any other.
        reader = readers.get(path.suffix)
        if reader is None:
            yield from _delimited(
                path, source.columns, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None
            )
        else:
            yield from reader(path)


def data_files(path: Path) -> list[Path]:
    """Return the files that a path of a recipe stands for, by name.

    Raises:
        CorpusError: There is none.
    """
    found = files_of(path)
    if not found:
        raise CorpusError(f"The data file {path} does not exist: check its path.")
    return found


def files_of(path: Path) -> list[Path]:
    """Return the file, those in the folder, or those that the glob fits, by name.

    In a folder, what lies in a folder whose name begins with an underscore or a dot is not data.
    """
    if path.is_dir():
        found = (file for file in path.rglob("*") if file.is_file())
        return sorted(file for file in found if _is_data(file.relative_to(path)))
    return [path] if path.is_file() else sorted(map(Path, glob(str(path), recursive=True)))


def _is_data(path: Path) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.parts)


def read_text(path: Path) -> str:
    """Return the content of a text file, its line ends as they are."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not UTF-8 at byte {error.start:,}; save it as UTF-8."
        ) from error
    except OSError as error:
        raise CorpusError(f"The data file {path} cannot be read ({error.strerror}).") from error


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file."""
    return read_text(path).replace("\r\n", "\n").split("\n")


def unusable(row: Row, name: str, place: str, *, settings: str) -> CorpusError:
    """Return the error of a row without a value that is needed; settings: that name the columns."""
    if name in row:
        return CorpusError(
            f"{place} has {row[name]!r:.40} in {name!r}; correct it, or leave the row out."
        )
    return CorpusError(f"{place} has no {name!r} (it has {', '.join(row)[:60]}): set {settings}.")


def _json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(
                f"{path} line {number} is not readable as JSON ({error}); mend or remove it."
            ) from error
        if not isinstance(row, dict):
            raise CorpusError(f"{path} line {number} is no object; write one JSON object a line.")
        yield f"{path} line {number}", row


def _delimited(path: Path, columns: Sequence[str] | None, **form: Any) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARS))
    reader = csv.reader(io.StringIO(read_text(path), newline=""), **form)
    names, line = list(columns or ()), 1
    try:
        for cells in reader:
            if not names:
                names = cells
            elif cells:
                yield f"{path} line {line}", _named(cells, names, path, line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(
            f"{path} line {line} is not readable ({error}); close the quotes in it and double "
            "those inside."
        ) from error


def _named(cells: list[str], names: list[str], path: Path, line: int) -> Row:
    if len(cells) != len(names):
        raise CorpusError(
            f"{path} line {line} has {len(cells)} fields, not {len(names)} "
            f"({', '.join(names)[:60]}); quote fields that hold the separator."
        )
    return dict(zip(names, cells, strict=True))


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow as pa
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path} row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"{path} is not readable as Parquet ({error}); replace it.") from error
