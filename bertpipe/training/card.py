"""The model card: what was trained, on what, how, how well, and where it fails."""

import dataclasses
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertpipe.report import versions
from bertpipe.training.curves import PICTURE, TABLE
from bertpipe.training.hardware import describe_hardware
from bertpipe.training.settings import Source, TaskSettings, TrainSettings
from bertpipe.training.tasks import least_score

if TYPE_CHECKING:
    from bertpipe.training.loop import Trained

SCORED = ", never trained on"  # ends the lines of dev files
OPTIONS = ("text_field", "pair_field", "label_field", "join_words", "limit")  # of evaluate


def write_card(
    folder: Path, task: TaskSettings, *, settings: TrainSettings, trained: "Trained", command: str
) -> None:
    """Write `folder/README.md` from the recipe and what the training gave."""
    card = task_card(settings, task.name)
    sections = {
        "Data": [*items(card.get("data", ())), *data_lines(task, trained)],
        "Licence": [str(card.get("licence", "Not stated."))],
        "Recipe": [*fenced([command]), "", *recipe_table(settings, task, card, trained)],
        "Training": training_lines(trained),
        "Scores": list(score_table(trained.scores[task.name])),
        "Check the scores": fenced(evaluate_commands(folder, settings, task)),
        "Limits": items(card.get("limits", ("Not stated.",))),
    }
    text = [f"# {card.get('title', folder.name)}", ""]
    for title, lines in sections.items():
        text += [f"## {title}", *lines, ""]
    (folder / "README.md").write_text("\n".join(text), encoding="utf-8")


def task_card(settings: TrainSettings, task: str) -> Mapping[str, Any]:
    """Return the recipe's [card] with what [card.TASK] says of one task."""
    own = settings.card.get(task, {})
    return {**settings.card, **(own if isinstance(own, Mapping) else {})}


def put_scores(
    folder: Path,
    figures: Mapping[str, Mapping[str, float]],
    *,
    dev_lines: Iterable[str],
    command: str,
) -> None:
    """Replace in `folder/README.md` what is said of the dev files: records, scores and command."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8")
    kept = [line for line in read_section(text, "Data") if not line.endswith(SCORED)]
    text = put_section(text, "Data", [*kept, *dev_lines])
    text = put_section(text, "Scores", score_table(figures))
    text = put_section(text, "Check the scores", fenced([command]))
    path.write_text(text, encoding="utf-8")


def read_section(text: str, title: str) -> list[str]:
    """Return the lines under a heading of a card, without the empty one at the end."""
    found = re.search(_pattern(title), text)
    return found[0].rstrip().split("\n")[1:] if found else []


def put_section(text: str, title: str, lines: Iterable[str]) -> str:
    """Replace what stands under a heading of a card; at its end where there is no such heading."""
    section = "\n".join([f"## {title}", *lines, "", ""])
    found = re.search(_pattern(title), text)
    before, after = (text[: found.start()], text[found.end() :]) if found else (text + "\n", "")
    return (before + section + after).rstrip() + "\n"


def _pattern(title: str) -> str:
    return rf"(?ms)^## {re.escape(title)}\n.*?(?=^## |\Z)"


def items(values: Iterable[str]) -> list[str]:
    """Return values as the lines of a list."""
    return [f"- {value}" for value in values]


def fenced(lines: Iterable[str]) -> list[str]:
    """Return lines as a block of code."""
    return ["```sh", *lines, "```"]


def data_lines(task: TaskSettings, trained: "Trained") -> list[str]:
    """Return a line for each data file: its records and how often an epoch reads them."""
    read = [
        f"- `{name}` ({task.train[name].path.name}): {n:,} records, {often(task.train[name])}"
        for name, n in trained.n_records[task.name].items()
    ]
    return [*read, *dev_lines(task, trained.n_dev[task.name])]


def dev_lines(task: TaskSettings, n_records: Mapping[str, int]) -> list[str]:
    """Return a line for each dev file."""
    return [
        f"- `{name}` ({task.dev[name].path.name}): {n:,} records{SCORED}"
        for name, n in n_records.items()
    ]


def often(source: Source) -> str:
    """Return how often an epoch reads a file."""
    return "each epoch" if source.passes == 1 else f"{source.passes:g} times an epoch"


def recipe_table(
    settings: TrainSettings, task: TaskSettings, card: Mapping[str, Any], trained: "Trained"
) -> list[str]:
    """Return the settings as a table, those that were left open as they were chosen."""
    loop = {**dataclasses.asdict(settings.training), **dataclasses.asdict(trained.chosen)}
    values = {
        "base": card.get("base", f"`{Path(settings.base).name}`"),
        **{name: getattr(task, name) for name in ("kind", "max_length", "stride")},
        **{name: value for name, value in loop.items() if value is not None},
        "freeze_parameters": ", ".join(f"`{name}`" for name in loop["freeze_parameters"]) or "none",
    }
    return [row(["setting", "value"]), row(["---"] * 2), *map(row, values.items())]


def training_lines(trained: "Trained") -> list[str]:
    """Return size, time, place and versions of the training, and its curves."""
    minutes, seconds = divmod(round(trained.seconds), 60)
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    return [
        f"- {trained.n_learning:,} of {trained.n_parameters:,} parameters learned.",
        f"- The best checkpoint, which this is: step {trained.best_step:,} of {trained.n_steps:,}.",
        f"- {minutes} min {seconds} s on {describe_hardware()}.",
        f"- Versions: {found}.",
        "",
        f"![Loss and scores by step]({PICTURE})",
        "",
        f"The same as a table: [{TABLE}]({TABLE}).",
    ]


def evaluate_commands(folder: Path, settings: TrainSettings, task: TaskSettings) -> list[str]:
    """Return the command that scores the model on each dev file."""
    rename = [part for pair in task.rename.items() for part in ("--rename", "=".join(pair))]
    commands = []
    for source in task.dev.values():
        words = ["bertpipe", "evaluate", shown(folder, settings), shown(source.path, settings)]
        words += [f"--max-length={source.max_length or task.max_length}", f"--stride={task.stride}"]
        least = least_score(task, source)
        words += [] if least is None else [f"--threshold={least}"]
        commands.append(shlex.join([*words, *source_options(source), *rename]))
    return commands


def source_options(source: Source) -> list[str]:
    """Return what says how a file is read, where it is not read as usual."""
    usual = {field.name: field.default for field in dataclasses.fields(source)}
    options = []
    for name, value in dataclasses.asdict(source).items():
        if name in ("path", "passes", "max_length") or value == usual[name]:
            continue
        option = name.replace("_", "-") if name in OPTIONS else f"data.{name}"
        options.append(f"--{option}={value if isinstance(value, str) else json.dumps(value)}")
    return options


def shown(path: Path, settings: TrainSettings) -> str:
    """Return a path as a reader elsewhere can use it: an absolute one by the name of its folder.

    What [paths] calls `data` is DATA.
    """
    if not path.is_absolute():
        return str(path)
    for name, value in settings.paths.items():
        if path.is_relative_to(value):
            return str(Path(name.upper()) / path.relative_to(value))
    return path.name


def score_table(figures: Mapping[str, Mapping[str, float]]) -> Iterable[str]:
    """Yield a table of data files by figures, four digits each."""
    names = list(next(iter(figures.values()), {}))
    yield row(["data", *names])
    yield row(["---"] * (len(names) + 1))
    for data, values in figures.items():
        yield row([data, *(f"{values[name]:.4f}" for name in names)])


def row(cells: Iterable[Any]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(map(str, cells))} |"
