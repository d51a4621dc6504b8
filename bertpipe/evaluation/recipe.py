"""Score a model on the dev files of the recipe that it was trained by."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from bertpipe.encoder.resolve import resolve
from bertpipe.errors import ConfigError, ModelError
from bertpipe.evaluation.evaluate import Evaluation, Options, evaluate_model
from bertpipe.training.card import dev_lines, put_scores
from bertpipe.training.settings import Source, TaskSettings, TrainSettings
from bertpipe.training.tasks import least_score

# Those that `bertpipe train` writes into a card.
CARD_FIGURES = {
    "token_classification": ("precision", "recall", "f1"),
    "text_classification": ("accuracy", "micro_f1", "macro_f1"),
    "question_answering": ("exact_match", "f1"),
    "masked_language_model": ("accuracy", "perplexity"),
    "next_sentence": ("accuracy", "macro_f1"),
}


def evaluate_recipe(
    model: str, settings: TrainSettings, options: Options, *, only: str | None = None
) -> Iterator[Evaluation]:
    """Yield the scores of a model, or of a trunk with a folder for each task, on each dev file."""
    for folder, task in task_models(model, settings, only).items():
        for name, found in _evaluate_task(folder, settings.tasks[task], options):
            yield replace(found, data=name)


def _evaluate_task(
    folder: str, task: TaskSettings, options: Options
) -> Iterator[tuple[str, Evaluation]]:
    for name, source in task.dev.items():
        yield name, evaluate_model(folder, source, _as_recipe(options, task, source))


def task_models(model: str, settings: TrainSettings, only: str | None) -> dict[str, str]:
    """Return the tasks of the recipe that are to be scored, by the model of each."""
    if only is not None and only not in settings.tasks:
        raise ConfigError(
            f"The recipe has no task {only!r}; its tasks are {', '.join(settings.tasks)}."
        )
    tasks = [only] if only else list(settings.tasks)
    own = {str(Path(model) / task): task for task in tasks}
    if all((Path(folder) / "config.json").is_file() for folder in own):
        return own
    if len(tasks) > 1:
        raise ConfigError(
            f"The recipe has several tasks ({', '.join(tasks)}) and {model} is one model; name its "
            "task with --only."
        )
    return {model: tasks[0]}


def write_cards(
    found: list[Evaluation], tasks: Mapping[str, TaskSettings], *, command: str
) -> list[Path]:
    """Put the scores, and the command that gave them, into the cards; return the cards.

    tasks: by the model that each evaluation is of.
    """
    cards = []
    for model, task in tasks.items():
        card = resolve(model, offline=True).path / "README.md"
        if not card.is_file():
            raise ModelError(f"There is no card {card}; leave out --card.")
        own = {each.data: each.scores for each in found if each.model == model}
        put_scores(
            card.parent,
            {data: _of_card(task, scores.figures) for data, scores in own.items()},
            dev_lines=dev_lines(task, {data: scores.n_records for data, scores in own.items()}),
            command=command,
        )
        cards.append(card)
    return cards


def _of_card(task: TaskSettings, figures: Mapping[str, float]) -> dict[str, float]:
    return {name: figures[name] for name in CARD_FIGURES[task.kind] if name in figures}


def _as_recipe(options: Options, task: TaskSettings, source: Source) -> Options:
    """Return the options with what the recipe says; what the options say goes first."""
    encoder = replace(
        options.encoder,
        max_length=options.encoder.max_length or source.max_length or task.max_length,
        stride=task.stride,
    )
    threshold = least_score(task, source) if options.threshold is None else options.threshold
    return replace(
        options,
        task=task.kind,
        encoder=encoder,
        rename={**task.rename, **options.rename},
        threshold=threshold,
    )
