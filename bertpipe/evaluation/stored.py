"""Score what a run has written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from bertpipe.annotators.tags import read_tags
from bertpipe.errors import ConfigError
from bertpipe.evaluation.evaluate import (
    Evaluation,
    Options,
    make_scorer,
    read_gold,
    threshold_of,
)
from bertpipe.evaluation.gold import check_labels, labels_of
from bertpipe.evaluation.joining import Change, join, score_rows
from bertpipe.training.settings import Kind, Source
from bertpipe.view.columns import Kind as Shown
from bertpipe.view.columns import choose
from bertpipe.view.output import Output, batches, open_output

KINDS: Mapping[Shown, Kind] = {
    Shown.SPANS: "token_classification",
    Shown.CLASSES: "text_classification",
    Shown.ANSWERS: "question_answering",
}
CLASSIFIER = "bert_classifier"  # one whose labels are its model's


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
    seen, is_multi = classes_in(output, name) if kind == "text_classification" else (set(), False)
    records = read_gold(kind, source, options.rename, is_multi=is_multi)
    component = component_of(output, name)
    labels = found_labels(component, kind, seen)
    if labels:
        check_labels(records, labels, f"column {name!r}")
    everything = sorted({*labels, *labels_of(records)})
    if kind == "question_answering":
        options = with_least_score(options, component)
    change: Change = as_it_is
    if is_multi:
        change, options = with_threshold(everything, options, component)
    scorer = make_scorer(kind, everything, options, is_multi=is_multi)
    joined = join(output, name, records, source.path)
    n_errors = score_rows(joined, scorer, change, len(records), options.progress)
    return Evaluation(
        model=f"{folder.resolve().name}, column {name}",
        data=source.path.name,
        kind=kind,
        settings={"column": name, "rows_in_error": n_errors, **threshold_of(scorer)},
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


def classes_in(output: Output, name: str) -> tuple[set[str], bool]:
    """Return the classes that a column has, and whether it gives any number of labels to a text.

    Where it gives one, each row has one.
    """
    seen: set[str] = set()
    is_multi = False
    for batch in batches(output, [name]):
        rows = batch[name].drop_null()
        fields = {field.name for field in rows.type}
        scored = pc.list_flatten(rows.field("scores")) if "scores" in fields else rows
        seen.update(pc.unique(scored.field("label")).to_pylist())
        if "labels" in fields:
            is_multi |= pc.any(pc.not_equal(pc.list_value_length(rows.field("labels")), 1)).as_py()
    return seen - {None}, is_multi


def component_of(output: Output, name: str) -> Mapping[str, Any]:
    """Return what the run recorded of the component that wrote a column."""
    for component in output.parts[0].job.recorded.get("components", ()):
        if component["name"] == name:
            found: Mapping[str, Any] = component
            return found
    return {"settings": {}}


def as_it_is(value: Any) -> Any:
    """Return an annotation."""
    return value


def with_threshold(
    labels: Sequence[str], options: Options, component: Mapping[str, Any]
) -> tuple[Change, Options]:
    """Return what puts the threshold asked for into an annotation, or else leaves the run's own."""
    own = component["settings"].get("threshold", 0.5)
    if options.threshold in (None, own):
        return as_it_is, replace(options, threshold=own)
    return partial(_relabelled, labels=labels, threshold=options.threshold), options


def _relabelled(value: Any, *, labels: Sequence[str], threshold: float) -> Any:
    if value is None:
        return None
    scores = value["scores"]
    if len(scores) < len(labels) and scores[-1]["score"] >= threshold:
        raise ConfigError(
            f"--threshold {threshold:g} needs the scores of all {len(labels)} labels, and a text "
            f"has only {len(scores)} (top_k): annotate with --components.NAME.top_k {len(labels)} "
            "or more, and evaluate that."
        )
    return {**value, "labels": [each["label"] for each in scores if each["score"] >= threshold]}


def with_least_score(options: Options, component: Mapping[str, Any]) -> Options:
    """Return the options with the score that an answer needs: the one asked for, or the run's own.

    Raises:
        ConfigError: Answers would be needed that the run has left out.
    """
    left_out = component["settings"].get("no_answer_threshold", 0.0)
    wanted = 0.0 if options.find_threshold else options.threshold
    if wanted is not None and wanted < left_out:
        raise ConfigError(
            f"The run left out answers that score below {left_out:g}, and they are needed to tell: "
            "annotate with --components.NAME.no_answer_threshold 0, and evaluate that."
        )
    return options if options.threshold is not None else replace(options, threshold=left_out)


def found_labels(component: Mapping[str, Any], kind: Kind, seen: Iterable[str]) -> list[str]:
    """Return the labels that the column can have, as far as it is known; seen: that it has."""
    known = component.get("labels") or ()
    if kind == "text_classification":
        new = component["settings"].get("labels") or {}
        own = known if component.get("factory") == CLASSIFIER else ()
        return sorted({*seen, *(new.get(name, name) for name in own)})
    if kind == "token_classification" and known:
        return sorted(set(read_tags(known).types) - {"O"})
    return []
