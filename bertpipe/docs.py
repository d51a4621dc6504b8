"""Arrow values on the Docs of spaCy: the exact value, and ents, spans and cats as views of it.

`doc._.bertpipe[NAME]` holds what component NAME found, as plain lists and dicts: it survives
`to_bytes`. The views hold what fits the Doc: spans of whole tokens, entities that do not overlap.
`doc._.bertpipe_unaligned[NAME]` counts the spans that fit no tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bertpipe.annotator import Annotator, checked
from bertpipe.errors import UsageError
from bertpipe.upstream import STATES, STATES_TYPE, read_states

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span
    from spacy.training import Example

VALUES, UNALIGNED = "bertpipe", "bertpipe_unaligned"
SENTENCES = "doc.sents"  # among what an annotator reads: no column has this name
_TYPES = {STATES: STATES_TYPE}
ErrorHandler = Callable[[str, Any, list[Any], Exception], Any]


def pipe(
    annotator: Annotator, docs: Iterable[Doc], *, batch_size: int, handle_error: ErrorHandler
) -> Iterator[Doc]:
    """Annotate a stream of Docs, in order, `batch_size` at a time.

    A Doc that cannot be annotated goes to the error handler alone, and is left out if that returns.
    """
    from spacy.util import minibatch

    for batch in minibatch(docs, batch_size):
        yield from _annotate(annotator, list(batch), handle_error)


def _annotate(annotator: Annotator, docs: list[Doc], handle_error: ErrorHandler) -> Iterator[Doc]:
    try:
        batch = batch_of(docs, annotator.reads)
        values = checked(annotator, annotator.annotate(batch), len(docs))
        for doc, value in zip(docs, values.to_pylist(), strict=True):
            annotator.set_annotations(doc, value)
    except UsageError:
        raise  # a wrong setting is wrong for every Doc
    except Exception as error:
        if len(docs) == 1:
            handle_error(annotator.name, annotator, docs, error)
            return
        middle = len(docs) // 2
        yield from _annotate(annotator, docs[:middle], handle_error)
        yield from _annotate(annotator, docs[middle:], handle_error)
        return
    yield from docs


def raise_error(name: str, annotator: Any, docs: list[Any], error: Exception) -> None:
    """Raise the error: what spaCy does with errors unless it is told otherwise."""
    raise error


def annotate_doc(annotator: Annotator, doc: Doc) -> Doc:
    """Annotate one Doc; the `__call__` of a component that has nothing else to do."""
    return next(pipe(annotator, [doc], batch_size=1, handle_error=raise_error))


def batch_of(docs: Sequence[Doc], reads: Sequence[str]) -> pa.RecordBatch:
    """Return the columns that an annotator reads of Docs.

    `text` is the Doc's, `doc.sents` its sentences where it has any, `doc._.trf_data` what a
    `transformer` read; another name is looked up in `doc.user_data` and among what earlier
    components found.
    """
    register()
    columns = {
        name: pa.array([_read(doc, name) for doc in docs], _TYPES.get(name)) for name in reads
    }
    columns["text"] = pa.array([doc.text for doc in docs], pa.string())
    return pa.record_batch(columns)


def _read(doc: Doc, name: str) -> Any:
    if name == SENTENCES:
        return sentences(doc)
    if name == STATES:
        return read_states(doc)
    return doc.user_data.get(name, doc._.get(VALUES).get(name))


def sentences(doc: Doc) -> list[dict[str, int]] | None:
    """Return the characters of each sentence; None where nothing has set any."""
    if not doc.has_annotation("SENT_START"):
        return None
    return [{"start": sent.start_char, "end": sent.end_char} for sent in doc.sents]


def register() -> None:
    """Make `doc._.bertpipe` known to spaCy; a second call changes nothing."""
    from spacy.tokens import Doc

    for name in (VALUES, UNALIGNED):
        if not Doc.has_extension(name):
            Doc.set_extension(name, default={})


def set_value(doc: Doc, name: str, value: Any) -> None:
    """Keep the exact value of component `name`."""
    register()
    doc._.get(VALUES)[name] = value


def align(
    doc: Doc, name: str, found: Iterable[dict[str, Any]], *, label: str, alignment_mode: str
) -> list[tuple[Span, float | None]]:
    """Return the spans of found entities or answers with their scores; count those that fit none.

    found: dicts with start, end, score and the label under the key `label`.
    alignment_mode: of `Doc.char_span`, for spans that begin or end inside a token.
    """
    spans = []
    n_unaligned = 0
    for one in found:
        span = doc.char_span(
            one["start"], one["end"], label=one[label], alignment_mode=alignment_mode
        )
        if span:
            spans.append((span, one["score"]))
        else:
            n_unaligned += 1
    doc._.get(UNALIGNED)[name] = n_unaligned
    return spans


def set_entities(doc: Doc, spans: Iterable[tuple[Span, float | None]], *, overwrite: bool) -> None:
    """Add spans to `doc.ents`; of two that overlap the one with the higher score goes in.

    Entities that are there already stay; with `overwrite` those that overlap one of ours go.
    """
    ours: list[Span] = []
    taken = set() if overwrite else {i for entity in doc.ents for i in _tokens(entity)}
    for span, _ in sorted(spans, key=_by_score):
        if taken.isdisjoint(_tokens(span)):
            taken.update(_tokens(span))
            ours.append(span)
    won = {i for span in ours for i in _tokens(span)}
    doc.ents = [*(entity for entity in doc.ents if won.isdisjoint(_tokens(entity))), *ours]


def set_spans(doc: Doc, key: str, spans: Sequence[tuple[Span, float | None]]) -> None:
    """Write spans to `doc.spans[key]` and their scores to its `attrs["scores"]`."""
    from spacy.tokens import SpanGroup

    scores = [score for _, score in spans]
    doc.spans[key] = SpanGroup(
        doc, name=key, spans=[span for span, _ in spans], attrs={"scores": scores}
    )


def set_categories(doc: Doc, scores: Iterable[dict[str, Any]]) -> None:
    """Add labels with their scores to `doc.cats`."""
    doc.cats = {**doc.cats, **{one["label"]: one["score"] for one in scores}}


def set_classes(doc: Doc, name: str, found: Any) -> None:
    """Write a class of component `name` to `doc.cats`, or those of parts to `doc.spans[name]`."""
    if isinstance(found, list):
        set_spans(doc, name, align(doc, name, found, label="label", alignment_mode="expand"))
    elif found is not None:
        set_categories(doc, found["scores"])


def _tokens(span: Span) -> range:
    return range(span.start, span.end)


def _by_score(scored: tuple[Span, float | None]) -> tuple[float, int]:
    span, score = scored
    return (-(score or 0.0), span.start)


def score_entities(examples: Iterable[Example]) -> dict[str, Any]:
    """Score `doc.ents` as spaCy's own recogniser does."""
    from spacy.scorer import get_ner_prf

    return get_ner_prf(examples)


def score_spans(examples: Iterable[Example], key: str, **settings: Any) -> dict[str, Any]:
    """Score `doc.spans[key]`; the figures are called `spans_KEY_f` and so on."""
    from spacy.scorer import Scorer

    def spans_of(doc: Doc, attr: str) -> Iterable[Span]:
        return doc.spans.get(key, ())

    def has_spans(doc: Doc) -> bool:
        return key in doc.spans

    return Scorer.score_spans(
        examples,
        f"spans_{key}",
        getter=spans_of,
        has_annotation=has_spans,
        allow_overlap=True,
        **settings,
    )


def score_categories(
    examples: Iterable[Example], labels: Sequence[str], *, multi_label: bool, threshold: float
) -> dict[str, Any]:
    """Score `doc.cats` as spaCy's own classifiers do."""
    from spacy.scorer import Scorer

    return Scorer.score_cats(
        examples,
        "cats",
        labels=labels,
        multi_label=multi_label,
        threshold=threshold if multi_label else None,
    )
