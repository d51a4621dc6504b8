"""Carry out a recipe: train, write the cards, say what came out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bertpipe.encoder.device import list_devices
from bertpipe.errors import ConfigError
from bertpipe.output.files import writing
from bertpipe.output.lock import FolderLock
from bertpipe.training import checkpoints, curves, record
from bertpipe.training.card import write_card
from bertpipe.training.settings import TaskSettings, TrainSettings

if TYPE_CHECKING:
    from bertpipe.training.callbacks import Moment
    from bertpipe.training.loop import Trained

EXTRA = ("accelerate", "matplotlib", "seqeval", "sklearn", "tqdm")  # modules of bertpipe[train]
Report = Callable[[str], None]


def run_recipe(
    settings: TrainSettings,
    *,
    command: str,
    report: Report,
    progress: "Callable[[Moment], None] | None" = None,
    overwrite: bool = False,
) -> None:
    """Train as the recipe says, or go on where the same training was stopped.

    command: what reproduces it, for the card. report: gets a line for every score and folder.

    Raises:
        OutputError: The output folder holds something else, and `overwrite` is not set.
        BusyError: Another process trains into it.
    """
    check_installed()
    wanted = record.identity(settings, device=list_devices("auto")[0])
    with locked(settings.output / record.CHECKPOINTS) as folder:
        state = record.check(settings.output, wanted, overwrite=overwrite)
        if state == "finished":
            report(f"Nothing to do: {settings.output} holds what this recipe gives.")
            return
        record.write(settings.output, wanted, is_finished=False)
        # torch and transformers take seconds to load.
        from bertpipe.training.loop import train

        trained = train(settings, resume=state == "begun", report=report, progress=progress)
        _describe(settings, trained, command=command, report=report)
        record.write(settings.output, wanted, is_finished=True)
        checkpoints.keep_only(folder, ())


def check_installed() -> None:
    """Raise ConfigError if a package of the extra `train` is missing."""
    for package in EXTRA:
        if find_spec(package) is None:
            raise ConfigError(
                f"Training needs {package}, which is not installed; run pip install "
                "'bertpipe[train]'."
            )


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Hold the lock of the folder for checkpoints; remove the folder if it is empty at the end."""
    with writing(folder.parent):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock.acquire(folder / "lock")
    try:
        yield folder
    finally:
        lock.release()
        if not any(folder.iterdir()):
            folder.rmdir()


def _describe(settings: TrainSettings, trained: "Trained", *, command: str, report: Report) -> None:
    """Write curves and card into each model's folder, and tell its scores."""
    from bertpipe.training.loop import output_folders

    for name, folder in output_folders(settings).items():
        task = settings.tasks[name]
        _write_curves(folder, task, trained)
        write_card(folder, task, settings=settings, trained=trained, command=command)
        for data, figures in trained.scores[name].items():
            values = ", ".join(f"{figure} {value:.4f}" for figure, value in figures.items())
            report(f"{name} on {data}: {values}")
        report(f"{name} is in {folder}")


def _write_curves(folder: Path, task: TaskSettings, trained: "Trained") -> None:
    from bertpipe.training.scoring import main_metric

    rows = curves.rows_of(trained.history, task.name, trained.scores[task.name])
    curves.write_table(folder / curves.TABLE, rows)
    curves.write_picture(
        folder / curves.PICTURE, rows, figure=main_metric(task), best_step=trained.best_step
    )
