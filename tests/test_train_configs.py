"""Every recipe in configs/train is trained on a few lines of made data."""

import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bertpipe.testing import tiny_model
from bertpipe.training.run import run_recipe
from bertpipe.training.settings import Source, TaskSettings, TrainSettings, read_settings

RECIPES = sorted((Path(__file__).parents[1] / "configs" / "train").glob("*.cfg"))
N_RECORDS = 60


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", task="fill_mask", max_length=64)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains_and_writes_its_models(path: Path, base: Path, tmp_path: Path):
    settings = made_small(read_settings(path, paths(path, base, tmp_path)))
    for task, source in sources(settings):
        write_data(task, source)
    lines: list[str] = []
    run_recipe(settings, command=f"bertpipe train {path.name}", report=lines.append)
    for name in settings.tasks:
        folder = settings.output if len(settings.tasks) == 1 else settings.output / name
        assert (folder / "README.md").is_file()
        assert f"{name} is in {folder}" in lines


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_begins_with_its_command(path: Path):
    head = path.read_text(encoding="utf-8").partition("[paths]")[0]
    assert f"bertpipe train configs/train/{path.name} --paths." in head


def paths(recipe: Path, base: Path, folder: Path) -> dict[str, str]:
    """Return values for all [paths] of a recipe."""
    names = read_settings(recipe, dict.fromkeys(null_paths(recipe), "x")).paths
    files = {f"paths.{name}": str(folder / f"{name}.jsonl") for name in names}
    own = {"paths.base": str(base), "paths.output": str(folder / "out")}
    return {**files, "paths.data": str(folder / "data"), **own} if "data" in names else files | own


def null_paths(recipe: Path) -> list[str]:
    """Return the paths that a recipe leaves to the command line."""
    section = recipe.read_text(encoding="utf-8").partition("[paths]")[2].partition("[training]")[0]
    lines = [line.split(" = ") for line in section.split("\n") if " = " in line]
    return [f"paths.{name}" for name, value in lines if value == "null"]


def made_small(settings: TrainSettings) -> TrainSettings:
    """Return the recipe with short windows and one epoch, for a model of two layers."""
    frozen = settings.training.freeze_layers
    loop = dataclasses.replace(
        settings.training,
        epochs=1,
        evaluations=1,
        freeze_layers=1 if isinstance(frozen, int) else frozen,
    )
    tasks = {name: small_task(task) for name, task in settings.tasks.items()}
    return dataclasses.replace(settings, training=loop, tasks=tasks)


def small_task(task: TaskSettings) -> TaskSettings:
    parts: dict[str, Any] = {
        part: {n: dataclasses.replace(s, max_length=None) for n, s in getattr(task, part).items()}
        for part in ("train", "dev")
    }
    return dataclasses.replace(task, max_length=48, stride=min(task.stride, 8), **parts)


def sources(settings: TrainSettings) -> Iterator[tuple[TaskSettings, Source]]:
    for task in settings.tasks.values():
        for source in (*task.train.values(), *task.dev.values()):
            yield task, source


def write_data(task: TaskSettings, source: Source) -> None:
    """Write made data as the recipe expects to find them."""
    if source.path.exists():
        return
    source.path.parent.mkdir(parents=True, exist_ok=True)
    if task.kind == "token_classification":
        sentence = "Anna B-PER\nSmith I-PER\nvisits O\nParis B-LOC\n"
        source.path.write_text(f"-DOCSTART- O\n\n{sentence}\n{sentence}\n" * N_RECORDS)
    elif task.kind == "question_answering":
        source.path.write_text(json.dumps({"data": [article(i) for i in range(N_RECORDS)]}))
    else:
        write_rows(source, [row(task, source, i) for i in range(N_RECORDS)])


def article(i: int) -> dict[str, Any]:
    answers = [{"text": "Paris", "answer_start": 12}]
    qas = [{"id": f"q{i}", "question": f"Where is Anna {i}?", "answers": answers}]
    paragraphs = [{"context": f"Anna visits Paris {i}.", "qas": qas}, {"context": "No.", "qas": []}]
    return {"title": f"article {i}", "paragraphs": paragraphs}


def row(task: TaskSettings, source: Source, i: int) -> dict[str, Any]:
    labels = [*task.rename] or ["World", "Sports", "Business"]
    label: Any = labels[i % len(labels)]
    n_times = 2 * (source.join_words or 0) if task.kind == "next_sentence" else 1
    text = " ".join([f"A film {i}. The plot is {label}."] * max(1, n_times))
    found = {source.text_field: text, source.label_field: label}
    if task.multi_label:
        found[source.label_field] = labels[: i % 3]
    return found | ({source.pair_field: f"It is {label}."} if source.pair_field else {})


def write_rows(source: Source, rows: list[dict[str, Any]]) -> None:
    if source.path.suffix == ".jsonl":
        source.path.write_text("\n".join(map(json.dumps, rows)))
        return
    separator = "," if source.path.suffix == ".csv" else "\t"
    with source.path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=separator)
        if source.columns is None:
            writer.writeheader()
        writer.writerows(rows)
