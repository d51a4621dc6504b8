"""Checkpoints that a kill at any moment leaves usable: one counts when its mark is there.

The mark is written when everything else of a checkpoint is on disk, and removed before the rest.
Older checkpoints go only after the mark of the newer, so there is always one to go on from.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

from bertpipe.output.files import remove, sync_file, sync_folder

PREFIX, MARK = "checkpoint-", "complete"


def path_of(folder: Path, step: int) -> Path:
    """Return where the Trainer writes the checkpoint of a step."""
    return folder / f"{PREFIX}{step}"


def newest(folder: Path) -> Path | None:
    """Return the whole checkpoint of the latest step, if there is any."""
    return max((path for path in _all(folder) if (path / MARK).exists()), key=_step, default=None)


def seal(checkpoint: Path) -> None:
    """Declare a checkpoint whole, when all of it is on disk."""
    for path in checkpoint.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        else:
            sync_file(path)
    (checkpoint / MARK).touch()
    sync_folder(checkpoint)
    sync_folder(checkpoint.parent)


def keep_only(folder: Path, steps: Collection[int]) -> None:
    """Remove the checkpoints of other steps, and half-written ones of any."""
    for path in _all(folder):
        if _step(path) not in steps or not (path / MARK).exists():
            remove(path / MARK)
            shutil.rmtree(path)


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{PREFIX}*") if path.name[len(PREFIX) :].isdigit()]


def _step(path: Path) -> int:
    return int(path.name[len(PREFIX) :])
