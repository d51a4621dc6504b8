"""Score what a run has written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertpipe.annotators.tags import read_tags
from bertpipe.errors import ConfigError, CorpusError
from bertpipe.evaluation.evaluate import Evaluation, Options, check_labels, make_scorer, read_gold
from bertpipe.evaluation.gold import Asked, Gold, labels_of
from bertpipe.records import ERROR
from bertpipe.training.settings import Kind, Source
from bertpipe.view.columns import Kind as Shown
from bertpipe.view.columns import choose
from bertpipe.view.output import Output, open_output, rows

KINDS: Mapping[Shown, Kind] = {
    Shown.SPANS: "token_classification",
    Shown.CLASSES: "text_classification",
    Shown.ANSWERS: "question_answering",
}
CLASSIFIER = "bert_classifier"  # one whose labels are its model's
NO_LIMIT = 1 << 62
SHOWN_CHARS = 60
Key = tuple[str, str | None]


def evaluate_output(
    folder: Path, source: Source, options: Options, *, column: str | None = None
) -> Evaluation:
    """Score a column of an output on a labelled file.

    A record of the file belongs to the rows with the same text, and for answers the same question.
    A row in error has found nothing.

    Raises:
        OutputError: `folder` is no output that can be read.
        ConfigError: The column is not there, or several could be meant.
        CorpusError: The file has a text that the output lacks.
    """
    output = open_output(folder)
    name, kind = choose_column(output, column)
    is_multi = kind == "text_classification" and gives_several(output, name)
    records = read_gold(kind, source, options.rename, is_multi=is_multi)
    values, n_errors = join(output, name, records, source.path)
    component = component_of(output, name)
    labels = found_labels(component, kind, values)
    if labels:
        check_labels(records, labels, source.path, f"column {name!r}")
    everything = sorted({*labels, *labels_of(records)})
    if is_multi:
        values, options = with_threshold(values, everything, options, component)
    elif kind == "question_answering":
        check_answers(component, options)
    scorer = make_scorer(kind, everything, options, is_multi=is_multi)
    scorer.add(records, values)
    return Evaluation(
        model=f"{folder.resolve().name}, column {name}",
        data=source.path.name,
        kind=kind,
        settings={"column": name, "rows_in_error": n_errors},
        scores=scorer.scores(),
    )


def choose_column(output: Output, wanted: str | None) -> tuple[str, Kind]:
    """Return the column to be scored and its task."""
    chosen = choose(output.schema, [wanted] if wanted else [])
    found = {name: each.kind for name, each in chosen.items() if name in output.schema.names}
    found = {name: kind for name, kind in found.items() if kind in KINDS}
    if not found:
        raise ConfigError(
            f"{output.folder} has no entities, classes or answers in a column of their own, which"
            f" are what can be scored; it has {', '.join(chosen)}."
        )
    if len(found) > 1:
        raise ConfigError(
            f"{output.folder} has several annotations ({', '.join(found)}); name one with --column."
        )
    ((name, kind),) = found.items()
    return name, KINDS[kind]


def join(output: Output, name: str, records: Sequence[Gold], path: Path) -> tuple[list[Any], int]:
    """Return what the column has for each record, and how many of these rows are in error."""
    places: dict[Key, list[int]] = {}
    for number, record in enumerate(records):
        places.setdefault(key_of(record), []).append(number)
    values: list[Any] = [None] * len(records)
    missing = set(places)
    n_errors = 0
    for key, value, is_error in annotations(output, name, has_questions=is_asked(records)):
        for number in places.get(key, ()):
            values[number] = value
        n_errors += is_error and key in missing
        missing.discard(key)
    if missing:
        first = records[min(places[key][0] for key in missing)]
        raise CorpusError(
            f"{len(missing):,} of {len(places):,} texts of {path} are not in {output.folder} (the "
            f"first is {first.text[:SHOWN_CHARS]!r}); annotate them too, or leave them out."
        )
    return values, n_errors


def key_of(record: Gold) -> Key:
    """Return what a record and its row have in common."""
    return record.text, record.question if isinstance(record, Asked) else None


def is_asked(records: Sequence[Gold]) -> bool:
    """Tell whether the records are questions."""
    return isinstance(records[0], Asked)


def annotations(
    output: Output, name: str, *, has_questions: bool
) -> Iterator[tuple[Key, Any, bool]]:
    """Yield the key, the annotation and whether there is an error, of every row or question."""
    field = question_field(output, name) if has_questions else None
    columns = [output.text_field, name, ERROR, *([field] if field else [])]
    questions = output.questions(name)
    for row in rows(output, columns=columns, where=(), limit=NO_LIMIT):
        text, value, is_error = row[output.text_field], row[name], row[ERROR] is not None
        if not has_questions:
            yield (text, None), value, is_error
            continue
        asked = {row[field]: row[field]} if field else questions
        for label, question in asked.items():
            answers = [each for each in value or () if each["question"] == label]
            yield (text, question), answers, is_error


def question_field(output: Output, name: str) -> str | None:
    """Return the column with the question of each row, if the run asked these."""
    settings = output.parts[0].job.fingerprint.get(f"component {name}", {})
    field = settings.get("question_field")
    if field is not None and field not in output.schema.names:
        raise ConfigError(
            f"{output.folder} has no column {field!r} with the questions; run with --keep {field} "
            "as well."
        )
    return field


def gives_several(output: Output, name: str) -> bool:
    """Tell whether a classifier gave any number of labels: where it gives one, each row has one."""
    return any(
        row[name] is not None and len(row[name].get("labels", [0])) != 1
        for row in rows(output, columns=[name], where=(), limit=NO_LIMIT)
    )


def component_of(output: Output, name: str) -> Mapping[str, Any]:
    """Return what the run recorded of the component that wrote a column."""
    for component in output.parts[0].job.recorded.get("components", ()):
        if component["name"] == name:
            found: Mapping[str, Any] = component
            return found
    return {"settings": {}}


def with_threshold(
    values: list[Any], labels: Sequence[str], options: Options, component: Mapping[str, Any]
) -> tuple[list[Any], Options]:
    """Return sets of labels as they are with the threshold asked for, or else the run's own."""
    own = component["settings"].get("threshold", 0.5)
    if options.threshold in (None, own):
        return values, replace(options, threshold=own)
    return [_relabelled(value, labels, options.threshold) for value in values], options


def _relabelled(value: Any, labels: Sequence[str], threshold: float | None) -> Any:
    if value is None or threshold is None:
        return value
    scores = value["scores"]
    if len(scores) < len(labels) and scores[-1]["score"] >= threshold:
        raise ConfigError(
            f"--threshold {threshold:g} needs the scores of all {len(labels)} labels, and a text "
            f"has only {len(scores)} (top_k): annotate with --components.NAME.top_k {len(labels)} "
            "or more, and evaluate that."
        )
    return {**value, "labels": [each["label"] for each in scores if each["score"] >= threshold]}


def check_answers(component: Mapping[str, Any], options: Options) -> None:
    """Raise ConfigError if answers would be needed that the run has left out."""
    left_out = component["settings"].get("no_answer_threshold", 0.0)
    wanted = 0.0 if options.find_threshold else options.threshold
    if wanted is not None and wanted < left_out:
        raise ConfigError(
            f"The run left out answers that score below {left_out:g}, and they are needed to tell: "
            "annotate with --components.NAME.no_answer_threshold 0, and evaluate that."
        )


def found_labels(component: Mapping[str, Any], kind: Kind, values: Sequence[Any]) -> list[str]:
    """Return the labels that the column can have, as far as it is known."""
    known = component.get("labels") or ()
    if kind == "text_classification":
        scores = (each for value in values if value for each in value.get("scores") or [value])
        new = component["settings"].get("labels") or {}
        own = known if component.get("factory") == CLASSIFIER else ()
        return sorted({*(each["label"] for each in scores), *(new.get(name, name) for name in own)})
    if kind == "token_classification" and known:
        return sorted(set(read_tags(known).types) - {"O"})
    return []
