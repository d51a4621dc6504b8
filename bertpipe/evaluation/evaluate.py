"""Score a model, or a finished run, on a labelled file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bertpipe.annotators.base import BertAnnotator
from bertpipe.config import EncoderSettings
from bertpipe.encoder.resolve import resolve
from bertpipe.errors import ConfigError
from bertpipe.evaluation import language
from bertpipe.evaluation.answers import AnswerScorer
from bertpipe.evaluation.baseline import score_baseline
from bertpipe.evaluation.classes import ClassScorer, MultiLabelScorer
from bertpipe.evaluation.entities import EntityScorer
from bertpipe.evaluation.gold import Classed, Gold, Marked, as_gold, check_labels
from bertpipe.evaluation.predict import (
    COLUMN,
    GIVEN,
    ModelSettings,
    config_of,
    make_annotators,
    predictions,
    task_of,
)
from bertpipe.evaluation.scores import Scorer, Scores
from bertpipe.records import BOOKKEEPING
from bertpipe.training.settings import Kind, Source, TaskSettings
from bertpipe.training.tasks import read_records

Progress = Callable[[int, int], None]
SETTINGS = ("max_length", "stride", "precision", "device")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is asked of an evaluation.

    rename: the model's label by the data's. threshold: from which score a label, or an answer,
    counts; None is what the component has. n_mistakes: to keep, of each kind.
    """

    task: Kind | None = None
    encoder: EncoderSettings = field(default_factory=partial(EncoderSettings, precision="fp32"))
    component: Mapping[str, Any] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    threshold: float | None = None
    find_threshold: bool = False
    n_mistakes: int = 10
    progress: Progress | None = None

    def least(self, setting: str, usual: float) -> float:
        """Return the threshold asked for, or that of the component under this name."""
        own = self.component.get(setting, usual)
        return float(own if self.threshold is None else self.threshold)

    def without_details(self) -> "Options":
        """Return the same without mistakes and the search for a threshold."""
        return replace(self, n_mistakes=0, find_threshold=False)


@dataclass(frozen=True)
class Evaluation:
    """How a model, or a run, did on a file.

    in_text: of entities in data with given words, the scores of what a run finds in the same texts
    without knowing the words. baseline: the scores of another model on the same records.
    """

    model: str
    data: str
    kind: Kind
    settings: Mapping[str, Any]
    scores: Scores
    in_text: Scores | None = None
    baseline: Scores | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain JSON values."""
        parts = {"scores": self.scores, "in_text": self.in_text, "baseline": self.baseline}
        return {
            "model": self.model,
            "data": self.data,
            "task": self.kind,
            "settings": dict(self.settings),
            **{name: part.to_dict() for name, part in parts.items() if part is not None},
        }


def evaluate_model(
    model: str, source: Source, options: Options, *, train: Source | None = None
) -> Evaluation:
    """Score a model: a folder, the name of an installed one, or a hub id.

    train: what the baseline learns from, if one is wanted.

    Raises:
        CorpusError: The data cannot be read, or have a label that the model lacks.
        ConfigError: A setting does not fit the task.
        ModelError: The model cannot be loaded, or is not for this task.
    """
    kind, is_multi = what_it_does(model, options)
    if train is not None and kind != "text_classification":
        raise ConfigError("--baseline is for text classification; leave it out.")
    if kind in language.KINDS:
        return evaluate_language(model, kind, source, options)
    records = read_gold(kind, source, options.rename, is_multi=is_multi)
    annotators = annotators_for(model, kind, records[0], options)
    last: Any = annotators[-1]
    labels = last.labels if kind != "question_answering" else ()
    check_labels(records, labels, f"model {model!r}")
    make = partial(make_scorer, kind, labels, is_multi=is_multi)
    scorers = {annotator.name: make(options) for annotator in annotators}
    baseline = None
    if train is not None:
        learned = read_gold(kind, train, options.rename, is_multi=is_multi)
        check_labels(learned, labels, f"model {model!r}")
        scorer = make(options.without_details())
        baseline = score_baseline(learned, records, scorer, is_multi=is_multi)
    scores = score_records(annotators, records, scorers, options.progress)
    return Evaluation(
        model=model,
        data=source.path.name,
        kind=kind,
        settings={**run_settings(last), **threshold_of(scorers[COLUMN])},
        scores=scores[annotators[0].name],
        in_text=scores[COLUMN] if GIVEN in scores else None,
        baseline=baseline,
    )


def evaluate_language(model: str, kind: Kind, source: Source, options: Options) -> Evaluation:
    """Score a masked language model or a next-sentence head."""
    if options.component:
        raise ConfigError(
            f"No component runs a {kind}; leave out --component.{min(options.component)}."
        )
    check_no_threshold(options)
    task = TaskSettings(
        name="the model", kind=kind, train={}, dev={"data": source}, rename=options.rename
    )
    scores, encoder = language.score_language(
        resolve(model, offline=options.encoder.offline).path,
        task,
        options.encoder,
        n_mistakes=options.n_mistakes,
        progress=options.progress,
    )
    settings = {name: getattr(encoder, name) for name in SETTINGS}
    return Evaluation(model, source.path.name, kind, settings, scores)


def what_it_does(model: str, options: Options) -> tuple[Kind, bool]:
    """Return the task of a model, and whether it gives any number of labels."""
    if (Path(model) / BOOKKEEPING).is_dir():
        raise ConfigError(f"{model} is the output of a run; give the labelled file with --gold.")
    config = config_of(model, offline=options.encoder.offline)
    kind = options.task or task_of(model, config)
    return kind, kind == "text_classification" and is_multi_label(model, config, options)


def score_records(
    annotators: Sequence[BertAnnotator],
    records: Sequence[Gold],
    scorers: Mapping[str, Scorer],
    progress: Progress | None,
) -> dict[str, Scores]:
    """Annotate the records piece by piece and return the scores of each annotator."""
    n_done = 0
    for batch, found in predictions(annotators, records):
        for name, scorer in scorers.items():
            scorer.add(batch, found[name].to_pylist())
        n_done += len(batch)
        if progress:
            progress(n_done, len(records))
    return {name: scorer.scores() for name, scorer in scorers.items()}


def threshold_of(scorer: Scorer) -> dict[str, float]:
    """Return the threshold that a scorer has, if it has one, as a setting."""
    if isinstance(scorer, AnswerScorer | MultiLabelScorer):
        return {"threshold": scorer.threshold}
    return {}


def run_settings(annotator: BertAnnotator) -> dict[str, Any]:
    """Return how an annotator was run."""
    found = annotator.max_length, annotator.encoder.stride
    loaded = annotator.loaded.encoder
    return dict(zip(SETTINGS, (*found, loaded.precision, loaded.device), strict=True))


def annotators_for(model: str, kind: Kind, first: Gold, options: Options) -> list[BertAnnotator]:
    """Return what annotates records like the first."""
    return make_annotators(
        model,
        kind,
        ModelSettings(
            encoder=options.encoder, component=options.component, threshold=options.threshold
        ),
        are_pairs=isinstance(first, Classed) and first.pair is not None,
        has_words=isinstance(first, Marked) and first.words is not None,
    )


def is_multi_label(model: str, config: Mapping[str, Any], options: Options) -> bool:
    """Tell whether a classifier gives any number of labels, as its component will."""
    problem = config.get("problem_type")
    if problem == "regression":
        raise ConfigError(
            f"Model {model!r} is a regression; evaluate scores classes, entities and answers."
        )
    asked = options.component.get("multi_label")
    return problem == "multi_label_classification" if asked is None else bool(asked)


def read_gold(
    kind: Kind, source: Source, rename: Mapping[str, str], *, is_multi: bool
) -> list[Gold]:
    """Read a labelled file as what is scored."""
    data = {"data": source}
    task = TaskSettings(name="evaluate", kind=kind, train={}, dev=data, multi_label=is_multi)
    # An I- begins an entity behind another type, whatever the scheme, as the CoNLL scorer reads it.
    return [as_gold(r, rename) for r in read_records(task, replace(source, to_iob2=True))]


def make_scorer(kind: Kind, labels: Sequence[str], options: Options, *, is_multi: bool) -> Scorer:
    """Return what scores the annotations of a task."""
    n_mistakes, find = options.n_mistakes, options.find_threshold
    if kind == "question_answering":
        least = options.least("no_answer_threshold", 0.0)
        return AnswerScorer(threshold=least, n_mistakes=n_mistakes, find_threshold=find)
    if is_multi:
        least = options.least("threshold", 0.5)
        return MultiLabelScorer(labels, threshold=least, n_mistakes=n_mistakes, find_threshold=find)
    check_no_threshold(options)
    if kind == "token_classification":
        return EntityScorer(n_mistakes=n_mistakes)
    return ClassScorer(labels, n_mistakes=n_mistakes)


def check_no_threshold(options: Options) -> None:
    """Raise ConfigError if a threshold is asked for, where there is none."""
    if options.find_threshold or options.threshold is not None:
        raise ConfigError(
            "A threshold is for models that give any number of labels and for answers; leave out "
            "--find-threshold and --threshold."
        )
