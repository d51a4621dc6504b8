"""Score a model on held-out records: windows in, one answer per record, the task's figures out."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bertpipe.annotators.tags import IOB2, OUTSIDE, has_ends, plain_tags, read_tags
from bertpipe.annotators.viterbi import likeliest
from bertpipe.training.batches import inputs, plan
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
MAX_ANSWER_TOKENS = 30
Scorer = Callable[[Dev, list[Any], Mapping[int, str]], dict[str, float]]


def main_metric(task: TaskSettings) -> str:
    """Return the figure by which a task chooses its best weights."""
    return "micro_f1" if task.multi_label else MAIN_METRIC[task.kind]


def score(
    task: Task, model: "PreTrainedModel", *, budget: int, bf16: bool
) -> dict[str, dict[str, float]]:
    """Return the figures of `model` by dev file."""
    scorers: dict[str, Scorer] = {
        "token_classification": score_words,
        "text_classification": score_texts,
        "question_answering": score_questions,
        "masked_language_model": score_masks,
        "next_sentence": score_texts,
    }
    scorer = scorers[task.settings.kind]
    if task.settings.kind == "token_classification":
        scorer = partial(score_words, scheme=task.tag_scheme)
    if task.settings.multi_label:
        scorer = partial(score_sets, threshold=task.settings.threshold)
    predicting = predict_hidden if task.is_masked else predict
    # A next-sentence head takes no labels, so its config may not know ours.
    id2label: Any = dict(enumerate(task.labels)) or model.config.id2label
    return {
        name: scorer(dev, predicting(model, dev.features, budget=budget, bf16=bf16), id2label)
        for name, dev in task.dev.items()
    }


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


def score_words(
    dev: Dev, scores: list[Any], id2label: Mapping[int, str], *, scheme: str | None = None
) -> dict[str, float]:
    """Label each word by the window where it is farthest from an edge; score whole entities.

    The labels are the likeliest valid ones of a record where the scheme is IOB2 or marks where
    entities end, as in `bert_ner` with aggregation auto.
    """
    labels = tuple(id2label[i] for i in range(len(id2label)))
    tags = read_tags(labels) if scheme == IOB2 or has_ends(labels) else plain_tags(labels)
    best = np.zeros((sum(len(record.words) for record in dev.records), len(labels)))
    begins = np.cumsum([0, *(len(record.words) for record in dev.records)])
    distances = np.full(len(best), -1)
    outside = labels.index(OUTSIDE) if OUTSIDE in labels else 0
    best[:, outside] = 1.0  # of a word that is no token
    for feature, logits in zip(dev.features, scores, strict=True):
        for token, word in enumerate(feature.positions):
            distance = min(token, len(feature.ids) - 1 - token)
            place = begins[feature.record] + word
            if word >= 0 and distance > distances[place]:
                distances[place] = distance
                exponents = np.exp(logits[token] - logits[token].max())
                best[place] = exponents / exponents.sum()
    item = np.repeat(np.arange(len(dev.records)), np.diff(begins))
    found = [labels[i] for i in likeliest(best, item, tags)]
    parts = [found[begin:end] for begin, end in pairwise(begins)]
    return entity_scores([record.tags for record in dev.records], parts)


def score_texts(dev: Dev, scores: list[Any], id2label: Mapping[int, str]) -> dict[str, float]:
    """Give each text the class with the highest mean probability over its windows."""
    found = [id2label[int(best)] for best in text_probabilities(dev, scores).argmax(1)]
    return class_scores([record.label for record in dev.records], found)


def text_probabilities(dev: Dev, scores: list[Any]) -> np.ndarray:
    """Return the mean probabilities over the windows of each text [texts, labels]."""
    windows: dict[int, list[Any]] = defaultdict(list)
    for feature, logits in zip(dev.features, scores, strict=True):
        exponents = np.exp(logits - logits.max())
        windows[feature.record].append(exponents / exponents.sum())
    return np.array([np.mean(windows[i], axis=0) for i in range(len(dev.records))])


def score_sets(
    dev: Dev, scores: list[Any], id2label: Mapping[int, str], *, threshold: float
) -> dict[str, float]:
    """Give each text the labels whose mean probability over its windows reaches the threshold."""
    windows: dict[int, list[Any]] = defaultdict(list)
    for feature, logits in zip(dev.features, scores, strict=True):
        windows[feature.record].append(1 / (1 + np.exp(-logits)))
    means = np.array([np.mean(windows[i], axis=0) for i in range(len(dev.records))])
    gold = [[label in record.labels for label in id2label.values()] for record in dev.records]
    return set_scores(np.array(gold), means >= threshold)


def score_masks(dev: Dev, scores: list[Any], id2label: Mapping[int, str]) -> dict[str, float]:
    """Return the share of hidden tokens that were found, and the perplexity."""
    losses, are_found = np.concatenate(scores).T
    return {"accuracy": float(are_found.mean()), "perplexity": float(np.exp(losses.mean()))}


def score_questions(dev: Dev, scores: list[Any], id2label: Mapping[int, str]) -> dict[str, float]:
    """Answer each question that has an answer by the best span of all windows."""
    best: dict[int, tuple[float, str]] = {}
    for feature, logits in zip(dev.features, scores, strict=True):
        value, start, end = best_span(feature, logits)
        if feature.record not in best or value > best[feature.record][0]:
            context = dev.records[feature.record].context
            best[feature.record] = value, context[start:end]
    answerable = [i for i, record in enumerate(dev.records) if record.answers]
    answers = [[text for _, text in dev.records[i].answers] for i in answerable]
    return answer_scores(answers, [best[i][1] for i in answerable])


def best_span(feature: Feature, logits: np.ndarray) -> tuple[float, int, int]:
    """Return the best answer of a window: its score over no answer, first and last character."""
    allowed = np.array([span is not None for span in feature.positions])
    starts = np.where(allowed, logits[:, 0], -np.inf)
    ends = np.where(allowed, logits[:, 1], -np.inf)
    sums = starts[:, None] + ends[None, :]
    n = len(sums)
    band = np.triu(np.ones((n, n), bool)) & np.tril(np.ones((n, n), bool), MAX_ANSWER_TOKENS - 1)
    best = int(np.where(band, sums, -np.inf).argmax())
    first, last = divmod(best, n)
    value = float(sums[first, last] - logits[0].sum())
    return value, feature.positions[first][0], feature.positions[last][1]
