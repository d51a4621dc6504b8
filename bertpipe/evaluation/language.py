"""Score masked language models and next-sentence heads, which no annotator runs.

They read the windows that training scores. Masks follow from the number of a window, and pairs from
the texts, so the same file gives the same figures.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bertpipe.config import EncoderSettings
from bertpipe.encoder.device import default_batch_tokens, list_devices, resolve_precision
from bertpipe.encoder.opening import window_limit
from bertpipe.errors import ConfigError, ModelError
from bertpipe.evaluation.classes import ClassScorer
from bertpipe.evaluation.gold import as_gold
from bertpipe.evaluation.scores import Scores
from bertpipe.training import neighbours
from bertpipe.training.base import load_tokenizer
from bertpipe.training.decoding import decode_masks, text_probabilities
from bertpipe.training.masking import predict_hidden
from bertpipe.training.scoring import Predict, pieces, predict, score_masks
from bertpipe.training.settings import TaskSettings
from bertpipe.training.tasks import Dev, Task, load_dev, open_model

KINDS = ("masked_language_model", "next_sentence")
MAX_LENGTH = 256  # of a window, as in a recipe that says nothing
Progress = Callable[[int, int], None]


def score_language(
    folder: Path,
    settings: TaskSettings,
    encoder: EncoderSettings,
    *,
    n_mistakes: int,
    progress: Progress | None,
) -> tuple[Scores, EncoderSettings]:
    """Return the scores of a model on the one dev file of `settings`, and how it was run.

    Raises:
        ModelError: The model has no head for the task.
        CorpusError: The data cannot be read, or have labels other than `next` and `not_next`.
        ConfigError: The windows are too long for the model, or the precision is not for it.
    """
    labels = neighbours.LABELS if settings.kind == "next_sentence" else ()
    tokenizer = load_tokenizer(folder)
    model = open_head(folder, Task(settings, labels, [], {}, {}))
    encoder = settled(encoder, window_limit(model.config, tokenizer), folder)
    assert encoder.max_length is not None
    windows = replace(settings, max_length=encoder.max_length, stride=encoder.stride)
    task = load_dev(windows, tokenizer, labels)
    model.to(encoder.device)
    (dev,) = task.dev.values()
    find: Predict = partial(
        predict_hidden if task.is_masked else predict,
        model,
        budget=default_batch_tokens(encoder.device, encoder.precision),
        bf16=encoder.precision == "bf16",
    )
    found = predictions(find, dev, progress)
    if task.is_masked:
        return Scores(len(dev.records), hidden_figures(found), rows={}), encoder
    return score_pairs(found, n_mistakes=n_mistakes), encoder


def open_head(folder: Path, task: Task) -> Any:
    """Open a model that has the head of a task; one that would begin at random is refused."""
    model, new = open_model(task, folder, config={})
    if new:
        raise ModelError(
            f"Model {folder} has no head for {task.settings.kind} (it lacks {min(new)}): train one "
            f'with kind = "{task.settings.kind}".'
        )
    return model


def settled(encoder: EncoderSettings, limit: int, folder: Path) -> EncoderSettings:
    """Return the settings with device, precision and length of a window filled in."""
    device = list_devices(encoder.device)[0]
    precision = resolve_precision(encoder.precision, device)
    if precision not in ("fp32", "bf16"):
        raise ConfigError(f"precision {precision} is for none of these; use fp32 or bf16.")
    max_length = encoder.max_length or min(MAX_LENGTH, limit)
    if max_length > limit:
        raise ConfigError(
            f"max_length {max_length} is more than the {limit} tokens that model {folder} takes."
        )
    return replace(encoder, device=device, precision=precision, max_length=max_length)


def predictions(
    find: Predict, dev: Dev, progress: Progress | None
) -> Iterator[tuple[Dev, list[Any]]]:
    """Yield pieces of the records with the scores of their windows."""
    n_done = 0
    for piece in pieces(dev):
        yield piece, find(piece.features)
        n_done += len(piece.records)
        if progress:
            progress(n_done, len(dev.records))


def hidden_figures(found: Iterable[tuple[Dev, list[Any]]]) -> dict[str, float]:
    """Return the figures of hidden tokens."""
    sums = [each for piece, scores in found for each in decode_masks(piece, scores)]
    return score_masks([], sums)


def score_pairs(found: Iterable[tuple[Dev, list[Any]]], *, n_mistakes: int) -> Scores:
    """Score next sentences as any classes."""
    scorer = ClassScorer(neighbours.LABELS, n_mistakes=n_mistakes)
    for piece, scores in found:
        classes = [
            {"label": neighbours.LABELS[row.argmax()], "score": float(row.max())}
            for row in text_probabilities(piece, scores)
        ]
        gold: Any = [as_gold(record, {}) for record in piece.records]
        scorer.add(gold, classes)
    return scorer.scores()
