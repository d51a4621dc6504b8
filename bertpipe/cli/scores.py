"""Scores as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from bertpipe.cli.text import counted, table

if TYPE_CHECKING:
    from bertpipe.evaluation.evaluate import Evaluation
    from bertpipe.evaluation.scores import Confusion, Mistake, Scores, Threshold

MAX_LABELS = 12  # of a confusion matrix
MAX_CHARS = 160  # of a text
NOUNS = {
    "token_classification": "entities",
    "text_classification": "classes",
    "question_answering": "answers",
    "masked_language_model": "hidden tokens",
    "next_sentence": "pairs of sentences",
}


def show_scores(found: Evaluation, *, n_mistakes: int) -> Iterator[str]:
    """Yield the lines that tell how a model did."""
    scores = found.scores
    records = counted(scores.n_records, "record")
    yield click.style(f"{found.model} on {found.data}: {NOUNS[found.kind]} in {records}", bold=True)
    yield ""
    yield from _figures(found)
    if scores.rows:
        yield ""
        yield from _rows(scores)
    yield from _answered(found)
    yield from _calibration(scores)
    if scores.threshold is not None:
        yield from _threshold(scores.threshold)
    if scores.confusion is not None and len(scores.confusion.labels) <= MAX_LABELS:
        yield from _confusion(scores.confusion)
    yield from _mistakes(scores, n_mistakes)
    yield ""


def _figures(found: Evaluation) -> Iterator[str]:
    """Yield the main figures; other scores of the same records stand beside them."""
    others = {"in the text": found.in_text, "baseline": found.baseline}
    beside = {name: scores for name, scores in others.items() if scores is not None}
    first = "words given" if found.in_text else "model"
    if beside:
        yield from table(
            [
                ("", first, *beside),
                *(
                    (
                        name,
                        number(value),
                        *(number(each.figures.get(name)) for each in beside.values()),
                    )
                    for name, value in found.scores.figures.items()
                ),
            ]
        )
        return
    yield from table((name, number(value)) for name, value in found.scores.figures.items())


def _rows(scores: Scores) -> Iterator[str]:
    rows = {**scores.rows, **{f"{name} average": row for name, row in scores.averages.items()}}
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    yield from table(
        [
            ("", *(name.upper() for name in names)),
            *(
                (_one_line(label), *(number(row.get(name)) for name in names))
                for label, row in rows.items()
            ),
        ]
    )


def _answered(found: Evaluation) -> Iterator[str]:
    """Yield the cure where questions without an answer were answered for lack of a threshold."""
    has_none = "without an answer" in found.scores.rows
    if has_none and not found.settings.get("threshold") and found.scores.threshold is None:
        yield ""
        yield (
            "every question was answered; with --threshold 0.5 an answer has to be likelier than "
            "none, and --find-threshold finds the best"
        )


def _calibration(scores: Scores) -> Iterator[str]:
    found = scores.calibration
    if found is not None and found.error is not None:
        yield ""
        yield f"expected calibration error {found.error:.4f} ({found.of})"


def _threshold(found: Threshold) -> Iterator[str]:
    yield ""
    yield (
        f"best {found.setting} {found.best:.6g}: {found.figure} {found.value:.4f}, and "
        f"{found.value_before:.4f} with {found.before:g}; it was chosen on these data, so measure "
        "it on others"
    )


def _confusion(found: Confusion) -> Iterator[str]:
    yield ""
    yield "labelled (rows) and found (columns)"
    names = [_one_line(label) for label in found.labels]
    yield from table(
        [
            ("", *names),
            *(
                (name, *(f"{n:,}" for n in row))
                for name, row in zip(names, found.counts, strict=True)
            ),
        ]
    )


def _mistakes(scores: Scores, n_shown: int) -> Iterator[str]:
    for kind, n_found in scores.n_mistakes.items():
        shown = [each for each in scores.mistakes if each.kind == kind][:n_shown]
        yield ""
        yield f"{kind}: {n_found:,}{_of_these(shown, n_found)}"
        for mistake in shown:
            yield from _mistake(mistake)


def _of_these(shown: Sequence[Mistake], n_found: int) -> str:
    """Return how the line goes on above the mistakes that are shown; what has no score is first."""
    if not shown or len(shown) == n_found:
        return ":" if shown else ""
    return ", the first:" if shown[0].score is None else ", the worst:"


def _mistake(mistake: Mistake) -> Iterator[str]:
    score = "" if mistake.score is None else f" ({mistake.score:.3f})"
    told = f"{_one_line(mistake.gold)} -> {_one_line(mistake.found)}{score}"
    yield f"  {_one_line(mistake.short_place)}: {told}"
    if mistake.question is not None:
        yield f"      {_one_line(mistake.question)}"
    yield f"      {_short(mistake)}"


def _short(mistake: Mistake) -> str:
    """Return the text on one line, cut around the part that the mistake is about."""
    first = max(0, mistake.start - MAX_CHARS // 2)
    text = mistake.text[first:]
    cut = text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + "…"
    return _one_line(("…" if first else "") + cut)


def number(value: float | None) -> str:
    """Return a figure with four digits, a count as it is, nothing as a dash."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _one_line(text: str) -> str:
    """Return the text without line ends and control characters, which a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
