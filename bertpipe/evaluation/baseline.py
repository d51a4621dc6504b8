"""Is BERT worth it here? TF-IDF with logistic regression on the same records."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bertpipe.errors import ConfigError
from bertpipe.evaluation.gold import Gold, batches
from bertpipe.evaluation.scores import Scorer, Scores

THRESHOLD = 0.5


def score_baseline(
    train: Sequence[Gold], records: Sequence[Gold], scorer: Scorer, *, is_multi: bool
) -> Scores:
    """Train the baseline on some records and score it on others."""
    fitted, labels = fit(train, is_multi=is_multi)
    for batch in batches(records):
        chances = fitted.predict_proba([as_text(record) for record in batch])
        scorer.add(batch, [_annotation(row, labels, is_multi=is_multi) for row in chances])
    return scorer.scores()


def fit(train: Sequence[Gold], *, is_multi: bool) -> tuple[Any, list[str]]:
    """Return the baseline, trained, and its labels in the order of its probabilities."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MultiLabelBinarizer

    wanted: list[tuple[str, ...]] = [getattr(record, "labels", ()) for record in train]
    if len(set(wanted)) < 2:
        raise ConfigError(
            "All training records of the baseline have one label; give more with --train."
        )
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    regression = LogisticRegression(C=10.0, max_iter=1_000)
    texts = [as_text(record) for record in train]
    if not is_multi:
        pipeline = make_pipeline(words, regression).fit(texts, [labels[0] for labels in wanted])
        return pipeline, [str(label) for label in pipeline.classes_]
    binary = MultiLabelBinarizer()
    pipeline = make_pipeline(words, OneVsRestClassifier(regression))
    return pipeline.fit(texts, binary.fit_transform(wanted)), [str(c) for c in binary.classes_]


def as_text(record: Gold) -> str:
    """Return the text of a record; a pair is one text."""
    pair = getattr(record, "pair", None)
    return record.text if pair is None else f"{record.text}\n{pair}"


def _annotation(chances: np.ndarray, labels: Sequence[str], *, is_multi: bool) -> dict[str, Any]:
    """Return probabilities (n_labels,) as what a classifier's column holds."""
    best = int(chances.argmax())
    found = [label for label, chance in zip(labels, chances, strict=True) if chance >= THRESHOLD]
    return {
        "label": labels[best],
        "score": float(chances[best]),
        "labels": found if is_multi else [labels[best]],
        "scores": [
            {"label": label, "score": float(chance)}
            for label, chance in zip(labels, chances, strict=True)
        ],
    }
