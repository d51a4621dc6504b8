"""What a precision costs: labels and scores beside those of fp32, on the dev files of recipes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertpipe.config import EncoderSettings
from bertpipe.encoder.device import precisions_of
from bertpipe.evaluation.evaluate import Options, annotators_for, make_scorer, read_gold
from bertpipe.evaluation.gold import Asked, Classed, Gold
from bertpipe.evaluation.predict import predictions
from bertpipe.training.settings import Kind, Source, TaskSettings, read_settings

RECIPES = Path(__file__).parents[1] / "configs/train"
MODELS = ("en_ner_mini", "en_sentiment_mini", "en_qa_mini", "en_nli_mini")
FIGURES: dict[Kind, str] = {
    "token_classification": "f1",
    "text_classification": "accuracy",
    "question_answering": "f1",
}
WORD = re.compile(r"\S+")


def run(data: Path, *, limit: int | None, device: str) -> Iterator[str]:
    """Yield lines: model, dev file, precision, share of equal labels, the score and its change."""
    for model in MODELS:
        settings = read_settings(RECIPES / f"{model}.cfg", {"paths.data": str(data)})
        (task,) = settings.tasks.values()
        for name, source in task.dev.items():
            fewer = source if limit is None else replace(source, limit=limit)
            yield from _lines(f"| {model} | {name} |", model, task, fewer, device)


def _lines(head: str, model: str, task: TaskSettings, source: Source, device: str) -> Iterator[str]:
    records = read_gold(task.kind, source, task.rename, is_multi=False)
    expected, score = _measure(model, task, source, records, device, "fp32")
    for precision in precisions_of(device)[1:]:
        found, own = _measure(model, task, source, records, device, precision)
        same = sum(a == b for a, b in zip(found, expected, strict=True)) / len(expected)
        change = 100 * (own - score)
        yield f"{head} {precision} | {same:.2%} | {100 * score:.2f} | {change:+.2f} |"


def _measure(
    model: str,
    task: TaskSettings,
    source: Source,
    records: Sequence[Gold],
    device: str,
    precision: str,
) -> tuple[list[Any], float]:
    """Return the labels of all records, and the score."""
    encoder = EncoderSettings(
        device=device,
        precision=precision,
        max_length=source.max_length or task.max_length,
        stride=task.stride,
    )
    options = Options(encoder=encoder, n_mistakes=0)
    annotators = annotators_for(model, task.kind, records[0], options)
    first: Any = annotators[0]
    labels = first.labels if task.kind != "question_answering" else ()
    scorer = make_scorer(task.kind, labels, options, is_multi=False)
    found: list[Any] = []
    for batch, columns in predictions(annotators, records):
        values = columns[first.name].to_pylist()
        scorer.add(batch, values)
        for record, value in zip(batch, values, strict=True):
            found += _labels(record, value)
    return found, scorer.scores().figures[FIGURES[task.kind]]


def _labels(record: Gold, value: Any) -> list[Any]:
    """Return what was found: the label of each word, of the text, or the place of the answer."""
    if isinstance(record, Classed):
        return [value["label"]]
    if isinstance(record, Asked):
        return [[(answer["start"], answer["end"]) for answer in value]]
    at = {e["start"]: e for e in value}
    found, inside = [], None
    for word in WORD.finditer(record.text):
        begins = next((at[i] for i in range(*word.span()) if i in at), None)
        inside = begins or (inside if inside and inside["end"] > word.start() else None)
        found.append((inside["label"], begins is not None) if inside else None)
    return found
