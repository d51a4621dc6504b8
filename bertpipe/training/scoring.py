"""Score a model on held-out records: windows in, one answer per record, the task's figures out.

The scores of at most about N_WINDOWS windows are held at once. What grows with the records is one
answer each: a class, a tag for each word, a bool for each of several labels, or an answer's text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bertpipe.annotators.answers import likelihood
from bertpipe.training.batches import inputs, plan
from bertpipe.training.decoding import (
    decode_masks,
    decode_questions,
    decode_sets,
    decode_texts,
    decode_words,
)
from bertpipe.training.features import Feature
from bertpipe.training.masking import predict_hidden
from bertpipe.training.metrics import answer_scores, class_scores, entity_scores, set_scores
from bertpipe.training.settings import TaskSettings
from bertpipe.training.tasks import Dev, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAIN_METRIC = {
    "token_classification": "f1",
    "text_classification": "accuracy",
    "question_answering": "f1",
    "masked_language_model": "accuracy",
    "next_sentence": "accuracy",
}
N_WINDOWS = 1024
Predict = Callable[[Sequence[Feature]], list[Any]]


@dataclass(frozen=True)
class Scoring:
    """How a task is scored.

    decode: maps records and the scores of their windows to what was found, one for each record.
    figures: maps all records and what was found to the figures.
    """

    decode: Callable[[Dev, list[Any]], Iterable[Any]]
    figures: Callable[[Sequence[Any], Sequence[Any]], dict[str, float]]


def main_metric(task: TaskSettings) -> str:
    """Return the figure by which a task chooses its best weights."""
    return "micro_f1" if task.multi_label else MAIN_METRIC[task.kind]


def score(
    task: Task, model: "PreTrainedModel", *, budget: int, bf16: bool
) -> dict[str, dict[str, float]]:
    """Return the figures of `model` by dev file."""
    # A next-sentence head takes no labels, so its config may not know ours.
    id2label: Any = dict(enumerate(task.labels)) or model.config.id2label
    how = scoring_of(task, [id2label[i] for i in range(len(id2label))])
    find: Predict = partial(
        predict_hidden if task.is_masked else predict, model, budget=budget, bf16=bf16
    )
    figures = {}
    for name, dev in task.dev.items():
        found = [each for piece in pieces(dev) for each in how.decode(piece, find(piece.features))]
        figures[name] = how.figures(dev.records, found)
    return figures


def scoring_of(task: Task, labels: Sequence[str]) -> Scoring:
    """Return how a task with these labels, in the order of its scores, is scored."""
    kind, threshold = task.settings.kind, task.settings.threshold
    if kind == "token_classification":
        return Scoring(partial(decode_words, labels=labels, scheme=task.tag_scheme), score_words)
    if kind == "question_answering":
        return Scoring(decode_questions, partial(score_questions, threshold=threshold))
    if kind == "masked_language_model":
        return Scoring(decode_masks, score_masks)
    if task.settings.multi_label:
        decode = partial(decode_sets, threshold=threshold)
        return Scoring(decode, partial(score_sets, labels=labels))
    return Scoring(partial(decode_texts, labels=labels), score_texts)


def pieces(dev: Dev) -> Iterator[Dev]:
    """Cut a dev file into stretches of whole records with about N_WINDOWS windows."""
    owners = np.array([feature.record for feature in dev.features])
    begin = first = 0
    while begin < len(owners):
        last = owners[min(begin + N_WINDOWS, len(owners)) - 1]
        end = int(np.searchsorted(owners, last, side="right"))
        stop = int(last) + 1
        windows = (replace(each, record=each.record - first) for each in dev.features[begin:end])
        yield Dev(dev.records[first:stop], list(windows))
        begin, first = end, stop


def predict(
    model: "PreTrainedModel",
    features: Sequence[Feature],
    *,
    budget: int,
    bf16: bool,
) -> list[Any]:
    """Return the scores of each window in order: [labels], [tokens, labels] or [tokens, 2]."""
    import torch

    training = model.training
    model.eval()
    found: list[Any] = [None] * len(features)
    pad_id = model.config.pad_token_id or 0
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        for batch in plan([len(feature.ids) for feature in features], budget=budget):
            tensors = inputs([features[i] for i in batch], pad_id=pad_id)
            output = model(**{name: t.to(model.device) for name, t in tensors.items()})
            scores = _logits(output).float().cpu().numpy()
            for row, index in enumerate(batch):
                n_tokens = len(features[index].ids)
                found[index] = scores[row] if scores.ndim == 2 else scores[row, :n_tokens]
    model.train(training)
    return found


def _logits(output: Any) -> Any:
    import torch

    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    return output.logits


def score_words(records: Sequence[Any], found: Sequence[list[str]]) -> dict[str, float]:
    """Score whole entities."""
    return entity_scores([record.tags for record in records], list(found))


def score_texts(records: Sequence[Any], found: Sequence[str]) -> dict[str, float]:
    """Score the one class of each text."""
    return class_scores([record.label for record in records], found)


def score_sets(
    records: Sequence[Any], found: Sequence[np.ndarray], *, labels: Sequence[str]
) -> dict[str, float]:
    """Score the labels of each text."""
    gold = [[label in record.labels for label in labels] for record in records]
    return set_scores(np.array(gold), np.array(found))


def score_masks(records: Sequence[Any], found: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the share of hidden tokens that were found, and the perplexity."""
    del records
    n_hidden, n_found, loss = np.sum(found, axis=0)
    return {"accuracy": float(n_found / n_hidden), "perplexity": float(np.exp(loss / n_hidden))}


def score_questions(
    records: Sequence[Any], found: Sequence[tuple[float, str]], *, threshold: float
) -> dict[str, float]:
    """Answer each question by its best span.

    Where some have no answer, a span whose score is below the threshold is none, as in SQuAD 2.0.
    """
    answers = [[text for _, text in record.answers] for record in records]
    texts = [text for _, text in found]
    if not all(answers):
        scores = likelihood(np.array([value for value, _ in found]))
        is_one = scores >= threshold
        texts = [text if one else "" for text, one in zip(texts, is_one, strict=True)]
    return answer_scores(answers, texts)
