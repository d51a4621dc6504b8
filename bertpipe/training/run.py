"""Carry out a recipe: train, write the cards, say what came out."""

from collections.abc import Callable
from pathlib import Path

from bertpipe.training.card import write_card
from bertpipe.training.loop import Trained, output_folders, train
from bertpipe.training.settings import TrainSettings


def run_recipe(
    settings: TrainSettings,
    *,
    recipe: Path,
    report: Callable[[str], None],
    resume: bool = False,
) -> None:
    """Train as the recipe says; `report` gets a line for every score and folder written."""
    trained = train(settings, resume=resume, report=report)
    for name, folder in output_folders(settings).items():
        _write_card(folder, name, settings, trained, recipe)
        for data, figures in trained.scores[name].items():
            values = ", ".join(f"{figure} {value:.4f}" for figure, value in figures.items())
            report(f"{name} on {data}: {values}")
        report(f"{name} is in {folder}")


def _write_card(
    folder: Path, name: str, settings: TrainSettings, trained: Trained, recipe: Path
) -> None:
    write_card(
        folder,
        settings=settings,
        task=settings.tasks[name],
        figures=trained.scores[name],
        n_records=trained.n_records[name],
        command=f"bertpipe train {recipe}",
    )
