"""The model card: what was trained, on what, how, how well, and where it fails."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bertpipe.training.settings import TaskSettings, TrainSettings

Figures = Mapping[str, Mapping[str, float]]
SCORES = "## Scores\n"


def write_card(
    folder: Path,
    *,
    settings: TrainSettings,
    task: TaskSettings,
    figures: Figures,
    n_records: Mapping[str, int],
    command: str,
) -> None:
    """Write `folder/README.md` from the recipe and the scores."""
    card = task_card(settings, task.name)
    sections = {
        "Data": [*items(card.get("data", ())), *data_lines(task, n_records)],
        "Licence": [str(card.get("licence", "not stated"))],
        "Recipe": ["```", command, "```", "", loop_line(settings, card)],
        "Scores": list(score_table(figures)),
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


def put_scores(folder: Path, figures: Figures) -> None:
    """Replace the scores in `folder/README.md`."""
    path = folder / "README.md"
    before, heading, after = path.read_text(encoding="utf-8").partition(SCORES)
    _, next_heading, rest = after.partition("\n## ")
    table = "\n".join(score_table(figures)) + "\n"
    path.write_text(f"{before}{heading}{table}{next_heading}{rest}", encoding="utf-8")


def items(values: Iterable[str]) -> list[str]:
    """Return values as the lines of a list."""
    return [f"- {value}" for value in values]


def data_lines(task: TaskSettings, n_records: Mapping[str, int]) -> list[str]:
    """Return a line for each data file: its records and how often an epoch reads them."""
    return [
        f"- `{name}` ({task.train[name].path.name}): {n:,} records, "
        f"{task.train[name].passes:g} times an epoch"
        for name, n in n_records.items()
    ]


def loop_line(settings: TrainSettings, card: Mapping[str, Any]) -> str:
    """Return the recipe's main settings as a sentence."""
    loop = settings.training
    base = card.get("base", f"`{Path(settings.base).name}`")
    frozen = "nothing" if loop.freeze_layers in (None, 0) else loop.freeze_layers
    return (
        f"Base: {base}; {loop.epochs:g} epochs, learning rate {loop.learning_rate:g}, "
        f"batches of {loop.batch_tokens} tokens, weight decay {loop.weight_decay:g}, "
        f"warm-up {loop.warmup:.0%}, frozen layers: {frozen}, seed {loop.seed}."
    )


def score_table(figures: Figures) -> Iterable[str]:
    """Yield a table of data files by figures, four digits each."""
    names = list(next(iter(figures.values()), {}))
    yield row(["data", *names])
    yield row(["---"] * (len(names) + 1))
    for data, values in figures.items():
        yield row([data, *(f"{values[name]:.4f}" for name in names)])


def row(cells: Iterable[Any]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(map(str, cells))} |"
