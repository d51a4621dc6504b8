"""What components of spaCy leave on Docs, as Arrow columns, and from there back on Docs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bertpipe import docs
from bertpipe.annotators.classes import to_classes
from bertpipe.errors import ConfigError
from bertpipe.records import (
    CLASSIFICATION_TYPE,
    NER_TYPE,
    SENTENCES_TYPE,
    SPAN_GROUPS_TYPE,
    TOKENS_TYPE,
)
from bertpipe.settings import check_names

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

COLUMNS: Mapping[str, pa.DataType] = {
    "ents": NER_TYPE,
    "cats": CLASSIFICATION_TYPE,
    "spans": SPAN_GROUPS_TYPE,
    "sents": SENTENCES_TYPE,
    "tokens": TOKENS_TYPE,
}
_LAST_FIRST = list(COLUMNS)[::-1]
CATEGORY_THRESHOLD = 0.5
# What spaCy's components say that they assign, by the column that shows it.
_ASSIGNED = {
    "ents": ("doc.ents", "token.ent_iob", "token.ent_type", "token.ent_kb_id"),
    "cats": ("doc.cats",),
    "spans": ("doc.spans",),
    "sents": ("doc.sents", "token.is_sent_start"),
    "tokens": (
        *("token.pos", "token.tag", "token.lemma"),
        *("token.morph", "token.dep", "token.head"),
    ),
}
_STRINGS = ("ORTH", "POS", "TAG", "LEMMA", "MORPH", "DEP")
NO_FEATURES = "_"  # how a vocabulary of spaCy spells an analysis without any


def assigned_columns(assigns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns for what components assign: all but tokens, or tokens alone.

    A column of tokens is many times as large as the texts: it is there beside others only when it
    is asked for.
    """
    given = set(assigns)
    found = [name for name, of_spacy in _ASSIGNED.items() if given.intersection(of_spacy)]
    return tuple(name for name in found if name != "tokens") or tuple(found)


def check_columns(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of component `name`, or refuse them."""
    check_names(columns, COLUMNS, f"Component {name!r}", "column")
    if not columns or len(set(columns)) < len(columns):
        raise ConfigError(
            f"Component {name!r}: columns is {list(columns)!r}; choose one or more of "
            f"{', '.join(COLUMNS)}, each once."
        )
    return tuple(columns)


def columns_type(columns: Sequence[str]) -> pa.DataType:
    """Return the type of one column, or a struct of several."""
    if len(columns) == 1:
        return COLUMNS[columns[0]]
    return pa.struct([(name, COLUMNS[name]) for name in columns])


def read_columns(found: Sequence[Doc], columns: Sequence[str]) -> pa.Array:
    """Return one value of `columns_type` for each Doc."""
    arrays = [_READERS[name](found) for name in columns]
    if len(arrays) == 1:
        return arrays[0]
    return pa.StructArray.from_arrays(arrays, fields=list(columns_type(columns)))


def set_columns(
    doc: Doc, name: str, value: Any, columns: Sequence[str], *, overwrite: bool
) -> None:
    """Write the value of component `name` to `doc._.bertpipe[name]`, and where spaCy has it.

    overwrite: whether its entities take the place of those that they overlap.
    """
    docs.set_value(doc, name, value)
    if value is None:
        return
    found = {columns[0]: value} if len(columns) == 1 else value
    unaligned = 0
    # Tokens go first: the sentences of a parse follow from them.
    for column in sorted(found, key=_LAST_FIRST.index):
        if found[column] is None:
            continue
        if column == "ents":
            unaligned += _write_ents(doc, name, found[column], overwrite=overwrite)
        else:
            unaligned += _WRITERS[column](doc, name, found[column])
    doc._.get(docs.UNALIGNED)[name] = unaligned


def doc_of_tokens(vocab: Any, text: str, tokens: Sequence[Mapping[str, Any]]) -> Doc | None:
    """Return a Doc that is cut as a value of `TOKENS_TYPE` says; None if that is not the text."""
    from spacy.tokens import Doc

    words = [text[token["start"] : token["end"]] for token in tokens]
    spaces = [text[token["end"] : token["end"] + 1] == " " for token in tokens]
    doc = Doc(vocab, words=words, spaces=spaces)
    return doc if doc.text == text else None


def _span(span: Span, score: float | None) -> dict[str, Any]:
    return {
        "start": span.start_char,
        "end": span.end_char,
        "label": span.label_,
        "score": score,
        "text": span.text,
    }


def _read_ents(found: Sequence[Doc]) -> pa.Array:
    return pa.array([[_span(each, None) for each in doc.ents] for doc in found], NER_TYPE)


def _read_spans(found: Sequence[Doc]) -> pa.Array:
    return pa.array([list(_grouped(doc)) for doc in found], SPAN_GROUPS_TYPE)


def _grouped(doc: Doc) -> Iterable[dict[str, Any]]:
    for key, group in doc.spans.items():
        scores = group.attrs.get("scores")
        scores = [None] * len(group) if scores is None else list(scores)
        for span, score in zip(group, scores, strict=True):
            yield {"group": key, **_span(span, score)}


def _read_sents(found: Sequence[Doc]) -> pa.Array:
    return pa.array([docs.sentences(doc) for doc in found], SENTENCES_TYPE)


def _read_cats(found: Sequence[Doc]) -> pa.Array:
    counts = np.array([len(doc.cats) for doc in found], np.int64)
    labels = [label for doc in found for label in doc.cats]
    scores = [score for doc in found for score in doc.cats.values()]
    return to_classes(
        pa.array(labels, pa.string()),
        np.array(scores, np.float32),
        counts,
        top_k=max(counts, default=0),
        threshold=CATEGORY_THRESHOLD,
    )


def _read_tokens(found: Sequence[Doc]) -> pa.Array:
    names: list[int | str] = ["IDX", "LENGTH", "HEAD", *_STRINGS]
    counts = np.array([len(doc) for doc in found], np.int64)
    given = [np.zeros((0, len(names)), np.uint64), *(doc.to_array(names) for doc in found if doc)]
    values = dict(zip(map(str, names), np.concatenate(given).T, strict=True))
    start = values["IDX"].astype(np.int32)
    begins = np.cumsum(counts) - counts
    # Heads are given as a distance, which may be negative.
    distance = values["HEAD"].view(np.int64)
    head = np.arange(len(start)) - np.repeat(begins, counts) + distance
    is_parsed = np.repeat([doc.has_annotation("DEP") for doc in found], counts).astype(bool)
    strings: Any = found[0].vocab.strings if found else {}
    columns = [
        pa.array(start),
        pa.array(start + values["LENGTH"].astype(np.int32)),
        *(_strings(values[name], strings) for name in _STRINGS),
        pa.array(head.astype(np.int32), mask=~is_parsed),
    ]
    items = pa.StructArray.from_arrays(columns, fields=list(TOKENS_TYPE.value_type))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, items, type=TOKENS_TYPE)


def _strings(hashes: np.ndarray, strings: Any) -> pa.Array:
    """Return the strings of hashes, each looked up once; 0 is none."""
    distinct, index = np.unique(hashes, return_inverse=True)
    names = [strings[int(each)] if each else None for each in distinct]
    names = ["" if name == NO_FEATURES else name for name in names]
    return pa.array(names, pa.string()).take(pa.array(index))


def _write_ents(doc: Doc, name: str, found: Any, *, overwrite: bool) -> int:
    spans = docs.align(doc, name, found, label="label", alignment_mode="expand")
    docs.set_entities(doc, spans, overwrite=overwrite)
    return len(found) - len(spans)


def _write_cats(doc: Doc, name: str, found: Any) -> int:
    docs.set_categories(doc, found["scores"])
    return 0


def _write_spans(doc: Doc, name: str, found: Any) -> int:
    n_spans = 0
    for key in dict.fromkeys(one["group"] for one in found):
        own = [one for one in found if one["group"] == key]
        spans = docs.align(doc, name, own, label="label", alignment_mode="expand")
        docs.set_spans(doc, key, spans)
        n_spans += len(spans)
    return len(found) - n_spans


def _write_sents(doc: Doc, name: str, found: Any) -> int:
    if doc.has_annotation("DEP"):
        return 0  # spaCy reads the sentences of a parsed Doc off its parse
    starts = {one["start"] for one in found}
    for token in doc:
        token.is_sent_start = token.idx in starts
    return len(starts - {token.idx for token in doc})


def _write_tokens(doc: Doc, name: str, found: Any) -> int:
    """Write what is known of tokens, if the Doc is cut into the same ones."""
    own = [(token.idx, token.idx + len(token)) for token in doc]
    if own != [(one["start"], one["end"]) for one in found]:
        return len(found)
    given = [field for field in ("pos", "tag", "lemma", "morph", "dep") if _is_given(field, found)]
    add = {"morph": doc.vocab.morphology.add}
    columns = [
        [add.get(field, doc.vocab.strings.add)(one[field] or "") for one in found]
        for field in given
    ]
    names: list[int | str] = [field.upper() for field in given]
    if "dep" in given:
        names.append("HEAD")
        heads = np.array([one["head"] for one in found], np.int64)
        columns.append((heads - np.arange(len(found))).view(np.uint64).tolist())
    if names and found:
        values: Any = np.array(columns, np.uint64).T
        doc.from_array(names, values)
    return 0


def _is_given(field: str, found: Any) -> bool:
    return any(one[field] is not None for one in found)


_READERS = {
    "ents": _read_ents,
    "cats": _read_cats,
    "spans": _read_spans,
    "sents": _read_sents,
    "tokens": _read_tokens,
}
_WRITERS = {
    "cats": _write_cats,
    "spans": _write_spans,
    "sents": _write_sents,
    "tokens": _write_tokens,
}
