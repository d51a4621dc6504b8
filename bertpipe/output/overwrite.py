"""`--overwrite`: the new parts are gathered aside and replace the old ones in one stroke.

While an overwrite computes, its parts lie in `_bertpipe/next/` under names that no reader takes for
output, and the old output stays as it is. When all are there, a journal names the old and the new
parts; then the new ones are renamed into place and the old ones that are left are deleted. So

- an interrupted overwrite has changed nothing: the same command goes on where it stopped, and a run
  without `--overwrite` goes on with the old output;
- a crash after the journal was written is made good by the next start, which finishes the exchange;
- only a reader that lists the folder during the exchange itself, a rename and a deletion a part,
  can see rows of both.

The price is room on disk for both outputs.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from bertpipe.errors import OutputError
from bertpipe.output.files import BOOKKEEPING, entries, move, remove, sync_folder, write_json
from bertpipe.output.footer import Part, read_part
from bertpipe.output.parquet import SUFFIX, TemporaryPart

STAGED_SUFFIX = ".staged"
_JOURNAL = "exchange.json"


def staging_folder(folder: Path) -> Path:
    """Return where the parts of an overwrite are gathered."""
    return folder / BOOKKEEPING / "next"


def merged_folder(folder: Path) -> Path:
    """Return where a part waits that `compact` puts in the place of others."""
    return folder / BOOKKEEPING / "merged"


def staged_parts(folder: Path) -> Iterator[tuple[Path, Part | None]]:
    """Yield the parts that an overwrite has gathered; None for one that cannot be used."""
    for path in entries(staging_folder(folder)):
        try:
            part = read_part(path)
        except OutputError:
            part = None
        yield path, part


def is_exchange_pending(folder: Path) -> bool:
    """Tell whether a crash has left an exchange half done."""
    return (folder / BOOKKEEPING / _JOURNAL).exists()


def exchange(folder: Path, old: list[str]) -> None:
    """Replace the parts called `old` by the staged ones; whole even if it is interrupted."""
    staged = (path.name for path in entries(staging_folder(folder)))
    new = [name.removesuffix(STAGED_SUFFIX) + SUFFIX for name in staged]
    write_json(folder / BOOKKEEPING / _JOURNAL, {"old": old, "new": new})
    finish_exchange(folder)


def exchange_merged(folder: Path, old: list[str], merged: TemporaryPart) -> None:
    """Replace the parts called `old` by one that holds their rows; whole even if interrupted."""
    merged_folder(folder).mkdir(exist_ok=True)
    staged = merged.name.removesuffix(SUFFIX) + STAGED_SUFFIX
    move(Path(merged.path), merged_folder(folder) / staged)
    journal = {"old": old, "new": [merged.name], "from": merged_folder(folder).name}
    write_json(folder / BOOKKEEPING / _JOURNAL, journal)
    finish_exchange(folder)
    merged_folder(folder).rmdir()


def finish_exchange(folder: Path) -> None:
    """Do what is left to do of an exchange, if one was begun."""
    journal = folder / BOOKKEEPING / _JOURNAL
    if not journal.exists():
        return
    names = json.loads(journal.read_text(encoding="utf-8"))
    staging = folder / BOOKKEEPING / names.get("from", staging_folder(folder).name)
    for name in names["new"]:
        staged = staging / (name.removesuffix(SUFFIX) + STAGED_SUFFIX)
        with contextlib.suppress(FileNotFoundError):
            os.replace(staged, folder / name)
    sync_folder(folder)
    for name in set(names["old"]).difference(names["new"]):
        remove(folder / name)
    sync_folder(folder)
    remove(journal)
