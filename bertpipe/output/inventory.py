"""What lies in an output folder, and whether a job may go on with it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from bertpipe.errors import OutputError
from bertpipe.output.files import BOOKKEEPING, entries, move
from bertpipe.output.footer import Job, Part, Stamp, differences, is_foreign, read_part
from bertpipe.output.parquet import PART_NAME, SUFFIX
from bertpipe.output.schema import as_stored

DAMAGED = "damaged"
_N_NAMED = 3


def parts(folder: Path) -> Iterator[tuple[Path, Part | None]]:
    """Yield the parts of an output in corpus order; None for one that is damaged.

    Raises:
        OutputError: A Parquet file beside them is not ours, or of another output format.
    """
    for path in part_paths(folder):
        part = read_part(path)
        if part is None and not PART_NAME.fullmatch(path.name):
            raise OutputError(
                f"{path} is no whole Parquet file and not named as a part is; move it or give"
                " another --output."
            )
        yield path, part


def part_paths(folder: Path) -> list[Path]:
    """Return what every reader takes for parts, in corpus order."""
    return [path for path in _visible(folder) if path.name.endswith(SUFFIX)]


def set_aside(folder: Path, path: Path) -> None:
    """Move a damaged part out of every reader's sight; its rows are then computed anew."""
    shelf = folder / BOOKKEEPING / DAMAGED
    shelf.mkdir(exist_ok=True)
    move(path, shelf / f"{path.name}.damaged")


def own_parts(folder: Path) -> list[str]:
    """Return the names of the parts in a folder that holds nothing but an output.

    Raises:
        OutputError: Something there is not ours.
    """
    names = []
    for path in _visible(folder):
        if path.name == BOOKKEEPING:
            continue
        if not PART_NAME.fullmatch(path.name) or not path.is_file() or is_foreign(path):
            raise OutputError(
                f"{folder} holds {path.name}, which bertpipe did not write, so it is not"
                " overwritten; move that or give another --output."
            )
        names.append(path.name)
    return names


def refuse_other_settings(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise OutputError naming the settings that differ, if any do."""
    found = differences(old, new)
    if found:
        raise _refusal(folder, "was made with other settings", found)


def refuse_other_job(folder: Path, part: Part, job: Job, schema: pa.Schema) -> None:
    """Raise OutputError naming how a part differs from what the job would write, if it does."""
    if part.job_hash != job.hash:
        refuse_other_settings(folder, part.job.settings(), job.settings())
    stored = as_stored(schema)
    if not part.schema.equals(stored):
        before, after = _columns(part.schema), _columns(stored)
        found = differences(before, after) or ["the order of the columns"]
        raise _refusal(folder, "has other columns", found)


def changed_sources(part: Part, stamps: Mapping[str, Stamp]) -> list[str]:
    """Return the sources of a part that are no longer as they were when it was written."""
    return [name for name, stamp in part.stamps.items() if name in stamps and stamps[name] != stamp]


def refuse_changed(folder: Path, names: Iterable[str]) -> None:
    """Raise OutputError naming sources that have changed since their rows were written, if any."""
    found = list(names)
    if found:
        more = f" and {len(found) - _N_NAMED} more" if len(found) > _N_NAMED else ""
        raise OutputError(
            f"{', '.join(found[:_N_NAMED])}{more} changed in size or time since rows of it were"
            f" written to {folder}; use --overwrite to compute all rows again, or give another"
            " --output."
        )


def is_current(part: Part, job: Job, schema: pa.Schema, stamps: Mapping[str, Stamp]) -> bool:
    """Tell whether a part is what the job would write now for sources that are all there."""
    return (
        part.job_hash == job.hash
        and part.schema.equals(as_stored(schema))
        and all(stamps.get(name) == stamp for name, stamp in part.stamps.items())
    )


def _visible(folder: Path) -> list[Path]:
    return [path for path in entries(folder) if not path.name.startswith(".")]


def _columns(schema: pa.Schema) -> dict[str, str]:
    return {f"column {field.name}": str(field.type) for field in schema}


def _refusal(folder: Path, how: str, found: list[str]) -> OutputError:
    return OutputError(
        f"{folder} {how}: {'; '.join(found)}; use --overwrite to compute all rows again, or give"
        " another --output."
    )
