"""Docs of spaCy from an output: what its rows hold, where spaCy keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow.parquet as pq

from bertpipe import docs
from bertpipe.annotators.code import import_code
from bertpipe.annotators.create import create
from bertpipe.annotators.plugins import blank
from bertpipe.annotators.spacy_columns import doc_of_tokens, set_columns
from bertpipe.config import Component, EncoderSettings
from bertpipe.errors import BertpipeError, OutputError
from bertpipe.output.files import BOOKKEEPING
from bertpipe.output.footer import Job
from bertpipe.output.inventory import parts
from bertpipe.settings import check_names

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

BATCH_ROWS = 256
TOKENS = "tokens"
_PLAIN = (type(None), bool, int, float, str, bytes)


class _View(Protocol):
    def set_annotations(self, doc: Doc, annotation: Any) -> None: ...


class _Columns:
    """What a component of spaCy wrote, without the component."""

    def __init__(self, name: str, described: Mapping[str, Any]) -> None:
        self.name = name
        self.columns = tuple(described["columns"])
        self.overwrite = bool(described["fingerprint"]["reads"])

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        set_columns(doc, self.name, annotation, self.columns, overwrite=self.overwrite)

    def tokens(self, annotation: Any) -> Any:
        """Return the tokens among what was found; None if there are none."""
        if TOKENS not in self.columns or annotation is None:
            return None
        return annotation if len(self.columns) == 1 else annotation[TOKENS]


def to_docs(
    output: str | Path,
    *,
    components: Sequence[str] | None = None,
    nlp: Language | None = None,
) -> Iterator[Doc]:
    """Yield a Doc for every row of an output, in the order of the corpus.

    A Doc has what its components would have set in a pipeline of spaCy: `doc._.bertpipe`, and ents,
    spans, cats, sentences and tokens. The other columns are in `doc.user_data`, `_source` and
    `_error` among them; a row without a text is an empty Doc.
    components: those that are set; None is all. nlp: cuts texts into tokens; None is English. Where
    a column of tokens says how a text is cut, that counts. No model is loaded.

    Raises:
        OutputError: The folder is no output, or a component of it cannot be made here.
        ConfigError: A component is not in the output.
    """
    folder = Path(output)
    if not (folder / BOOKKEEPING).is_dir():
        raise OutputError(f"{folder} is no output of bertpipe; give the --output of a run.")
    found = [part for _, part in parts(folder) if part]
    if not found:
        return
    job = found[0].job
    views = _views(folder, job, components)
    docs.register()
    language = nlp or blank()
    for part in found:
        with pq.ParquetFile(part.path) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                for row in batch.to_pylist():
                    yield _to_doc(row, job, views, language)


def _views(folder: Path, job: Job, wanted: Sequence[str] | None) -> dict[str, _View]:
    known = {each["name"]: each for each in job.recorded["components"]}
    check_names(wanted or (), known, str(folder), "component")
    chosen = known if wanted is None else wanted
    return {name: _view(folder, job, known[name]) for name in chosen}


def _view(folder: Path, job: Job, described: Mapping[str, Any]) -> _View:
    """Return the annotator that wrote a column, its model not loaded."""
    name, code = described["name"], job.recorded.get("code")
    if "columns" in described:
        return _Columns(name, described)
    component = _component(job, described)
    try:
        if code is not None:
            import_code(code)
        return create(component, EncoderSettings(offline=True))
    except BertpipeError as error:
        raise OutputError(
            f"Component {name!r} of {folder} cannot be made here ({error}); install what it needs,"
            " or name the components that are wanted."
        ) from error


def _component(job: Job, described: Mapping[str, Any]) -> Component:
    """Return the component as it was set; the first outputs tell that in what a run compares."""
    name = described["name"]
    if "factory" in described:
        return Component(name, described["factory"], described["settings"])
    compared = job.fingerprint[f"component {name}"]
    apart = {"factory", *described.get("fingerprint", {})}
    settings = {key: value for key, value in compared.items() if key not in apart}
    model = {"model": described["model"]} if "model" in described else {}
    return Component(name, compared["factory"], {**settings, **model})


def _to_doc(row: Mapping[str, Any], job: Job, views: Mapping[str, _View], nlp: Language) -> Doc:
    text = row[job.text_field] or ""
    doc = _cut(text, row, views, nlp) or nlp.tokenizer(text)
    known = {each["name"] for each in job.recorded["components"]}
    for name, value in row.items():
        if name in views and value is not None:
            views[name].set_annotations(doc, value)
        elif name in views:
            docs.set_value(doc, name, None)
        elif name not in known and name != job.text_field:
            doc.user_data[name] = _plain(value)
    return doc


def _cut(
    text: str, row: Mapping[str, Any], views: Mapping[str, _View], nlp: Language
) -> Doc | None:
    for name, view in views.items():
        tokens = view.tokens(row[name]) if isinstance(view, _Columns) else None
        if tokens:
            return doc_of_tokens(nlp.vocab, text, tokens)
    return None


def _plain(value: Any) -> Any:
    """Return a value as `Doc.to_bytes` can write it: times, decimals and the like as text."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if isinstance(value, _PLAIN) else str(value)
