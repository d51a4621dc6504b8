"""Write evaluations as one HTML page that runs nothing and fetches nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from bertpipe.errors import OutputError
from bertpipe.evaluation.evaluate import Evaluation
from bertpipe.evaluation.plots import reliability, threshold_curve
from bertpipe.evaluation.scores import Confusion, Mistake, Scores
from bertpipe.view.templates import environment, policy, read

NAME = "report.html"
PACKAGE = "bertpipe.evaluation"
MAX_LABELS = 30  # of a confusion matrix
N_PAIRS = 20  # where there are more
N_SHADES = 10
TITLES = {
    "token_classification": "Entities",
    "text_classification": "Classes",
    "question_answering": "Answers",
    "masked_language_model": "Hidden tokens",
    "next_sentence": "Pairs of sentences",
}
COLUMNS = {"n": "in the data", "f1": "F1", "roc_auc": "ROC-AUC"}


@dataclass(frozen=True)
class Cell:
    """A count in a confusion matrix; shade: its share of the row in tenths."""

    count: int
    shade: int
    is_right: bool


@dataclass(frozen=True)
class Section:
    """What the page shows of one evaluation.

    beside: further scores of the same records, by what they are of. matrix: the rows of the
    confusion matrix, and pairs: the commonest confusions where it would be too large.
    """

    found: Evaluation
    title: str
    beside: Mapping[str, Scores]
    columns: Sequence[str]
    reliability: str | None
    threshold: str | None
    matrix: Sequence[tuple[str, Sequence[Cell]]]
    pairs: Sequence[tuple[str, str, int]]
    mistakes: Sequence[tuple[str, int, Sequence[Mistake]]]


def write_report(found: Sequence[Evaluation], folder: Path) -> Path:
    """Write evaluations to `folder/report.html` and return its path.

    Raises:
        OutputError: The folder cannot be made or written to.
    """
    html = render(found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).write_text(html, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"The report cannot be written to {folder} ({error.strerror}); give another --report."
        ) from error
    return folder / NAME


def render(found: Sequence[Evaluation]) -> str:
    """Return the page."""
    style = read("base.css") + read("report.css", PACKAGE)
    templates = environment(PACKAGE)
    templates.filters.update(number=number, title=title, marked=marked)
    return templates.get_template("report.html").render(
        sections=[section(each) for each in found],
        style=Markup(style),
        policy=policy(style),
    )


def section(found: Evaluation) -> Section:
    """Prepare what is shown of an evaluation."""
    scores = found.scores
    beside = {"in the text": found.in_text, "baseline": found.baseline}
    has_scores = scores.calibration is not None and scores.calibration.error is not None
    is_small = scores.confusion is not None and len(scores.confusion.labels) <= MAX_LABELS
    return Section(
        found=found,
        title=TITLES[found.kind],
        beside={name: each for name, each in beside.items() if each is not None},
        columns=list(dict.fromkeys(name for row in scores.rows.values() for name in row)),
        reliability=reliability(scores.calibration) if scores.calibration and has_scores else None,
        threshold=threshold_curve(scores.threshold) if scores.threshold else None,
        matrix=list(matrix(scores.confusion)) if scores.confusion and is_small else [],
        pairs=pairs(scores.confusion) if scores.confusion and not is_small else [],
        mistakes=list(_mistakes(scores)),
    )


def matrix(found: Confusion) -> Iterator[tuple[str, list[Cell]]]:
    """Yield label and cells of each row."""
    for row, (label, counts) in enumerate(zip(found.labels, found.counts, strict=True)):
        most = max(1, sum(counts))
        yield (
            label,
            [
                Cell(count, round(N_SHADES * count / most), row == column)
                for column, count in enumerate(counts)
            ],
        )


def pairs(found: Confusion) -> list[tuple[str, str, int]]:
    """Return the commonest pairs of a label and another that was found."""
    counts = Counter(
        {
            (gold, other): n
            for gold, row in zip(found.labels, found.counts, strict=True)
            for other, n in zip(found.labels, row, strict=True)
            if n and gold != other
        }
    )
    return [(*pair, n) for pair, n in counts.most_common(N_PAIRS)]


def _mistakes(scores: Scores) -> Iterator[tuple[str, int, list[Mistake]]]:
    for kind, n_found in scores.n_mistakes.items():
        yield kind, n_found, [each for each in scores.mistakes if each.kind == kind]


def number(value: float | None) -> str:
    """Return a figure with four digits, a count as it is, nothing as a dash."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def title(name: str) -> str:
    """Return the name of a figure as a heading."""
    return COLUMNS.get(name, name.replace("_f1", " F1").replace("_", " "))


def marked(mistake: Mistake) -> tuple[str, str, str]:
    """Return the text before the part that a mistake is about, that part, and the text after it."""
    text, start, end = mistake.text, mistake.start, mistake.end
    return text[:start], text[start:end], text[end:]
