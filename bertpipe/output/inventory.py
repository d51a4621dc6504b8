"""What lies in an output folder, and whether a job may go on with it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from bertpipe.corpus.sources import STANDARD_INPUT
from bertpipe.errors import OutputError
from bertpipe.output.changes import Changes
from bertpipe.output.files import BOOKKEEPING, entries, move
from bertpipe.output.footer import RELATIVE_TO, Job, Part, differences, is_foreign, read_part
from bertpipe.output.parquet import PART_NAME, SUFFIX, part_name
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


def source_places(found: Sequence[Part]) -> dict[str, str]:
    """Return where the sources of some parts were, by name; standard input was nowhere."""
    relative_to = found[0].job.fingerprint.get(RELATIVE_TO) if found else None
    names = dict.fromkeys(name for part in found for name in part.stamps)
    return {name: os.path.join(relative_to or "", name) for name in names if name != STANDARD_INPUT}


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


def decide(folder: Path, changes: Changes, changed: str | None) -> Changes:
    """Return the changes to go on with, for what the user says of sources that have changed.

    Raises:
        OutputError: There are such sources and nothing is said of them.
    """
    if changed is None and changes.changed:
        raise OutputError(
            f"{_named(changes.changed)} changed since rows of it were written to {folder}; compute"
            " these rows again with --changed recompute, leave them as they are with --changed"
            " ignore, or give another --output."
        )
    return changes.without_changed() if changed == "ignore" else changes


def right_name(part: Part) -> Part:
    """Give a part the name that its slices ask for, where a kill came before its last renaming."""
    wanted = part.path.with_name(part_name(part.slices))
    if part.path == wanted or wanted.exists() or not PART_NAME.fullmatch(part.path.name):
        return part
    move(part.path, wanted)
    return replace(part, path=wanted)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
    return ", ".join(names[:_N_NAMED]) + more


def is_current(part: Part, job: Job, schema: pa.Schema, now: Mapping[str, tuple[int, int]]) -> bool:
    """Tell whether a part is what the job would write now for sources that are all there.

    now: their sizes and times.
    """
    return (
        part.job_hash == job.hash
        and part.schema.equals(as_stored(schema))
        and all(now.get(name) == stamp[:2] for name, stamp in part.stamps.items())
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
