"""`training.json` in the output folder: its recipe and data, and whether the training is done.

A training goes on, or counts as done, only where the settings that change the weights, the base's
weights and the data are those that the folder was begun with.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from bertpipe.encoder.device import resolve_precision
from bertpipe.encoder.resolve import weights_digest
from bertpipe.errors import CorpusError, OutputError
from bertpipe.output.files import entries, sha256, write_json
from bertpipe.output.footer import differences
from bertpipe.report import versions
from bertpipe.training.base import task_base
from bertpipe.training.checkpoints import newest
from bertpipe.training.rows import data_files
from bertpipe.training.settings import Source, TaskSettings, TrainSettings

RECORD = "training.json"
CHECKPOINTS = "checkpoints"
State = Literal["new", "begun", "finished"]
SHOWN = 3  # differences named in a message


def identity(settings: TrainSettings, *, device: str) -> dict[str, Any]:
    """Return what decides the weights: settings, and digests of the base and of the data.

    When checkpoints are made does not, nor into what pieces a batch is cut.
    """
    loop = dataclasses.asdict(settings.training)
    loop["precision"] = resolve_precision(settings.training.precision, device)
    del loop["checkpoint_every"]
    if settings.training.batch_size is not None:
        del loop["batch_tokens"]
    bases = {name: weights_digest(task_base(settings.base, name)) for name in settings.tasks}
    tasks = {name: _task(task) for name, task in settings.tasks.items()}
    return json_values({"base": bases, "training": loop, "tasks": tasks})


def check(folder: Path, wanted: Mapping[str, Any], *, overwrite: bool) -> State:
    """Tell how far the folder is with the training that is wanted.

    Raises:
        OutputError: It holds another training, or something else, that is not to be overwritten.
    """
    if overwrite:
        return "new"
    found = read(folder)
    if found is None:
        others = [entry.name for entry in entries(folder) if entry.name != CHECKPOINTS]
        if others:
            raise OutputError(
                f"{folder} holds {others[0]} and no training that could go on; give another "
                "--paths.output, or --overwrite to write into it."
            )
        return "new"
    if not found["is_finished"] and newest(folder / CHECKPOINTS) is None:
        return "new"
    if differing := differences(found["identity"], wanted):
        more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        raise OutputError(
            f"{folder} was trained, or begun, by another recipe: {'; '.join(differing[:SHOWN])}"
            f"{more}; give another --paths.output, or --overwrite to train anew."
        )
    return "finished" if found["is_finished"] else "begun"


def read(folder: Path) -> dict[str, Any] | None:
    """Return the record of a folder, if it has one."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(f"{path} is not readable as JSON ({error}); give --overwrite.") from error


def write(folder: Path, wanted: Mapping[str, Any], *, is_finished: bool) -> None:
    """Write the record, whole or not at all."""
    value = {"is_finished": is_finished, "versions": versions(), "identity": wanted}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, value)


def json_values(value: Any) -> Any:
    """Return what reading the written JSON would give."""
    return json.loads(json.dumps(value, default=str))


def _task(task: TaskSettings) -> dict[str, Any]:
    own = {
        field.name: getattr(task, field.name)
        for field in dataclasses.fields(task)
        if field.name not in ("train", "dev", "name")
    }
    files = {
        part: {name: _source(source) for name, source in sources.items()}
        for part, sources in (("train", task.train), ("dev", task.dev))
    }
    return {**own, **files}


def _source(source: Source) -> dict[str, Any]:
    """Return how data are read and what is in them; where they lie does not matter."""
    values = dataclasses.asdict(source)
    del values["path"]
    return {**values, "content": content_digest(source.path)}


def content_digest(path: Path) -> str:
    """Return a digest of the content of a file, or of all files of a folder or glob."""
    files = data_files(path)
    try:
        digests = [sha256(file, file.stat().st_size) for file in files]
    except OSError as error:
        raise CorpusError(f"The data file {path} cannot be read ({error.strerror}).") from error
    return digests[0] if len(files) == 1 else hashlib.sha256(",".join(digests).encode()).hexdigest()
