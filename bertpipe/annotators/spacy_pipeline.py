"""Pipelines and components of spaCy that know no columns, as annotators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe import docs
from bertpipe.annotator import Annotator
from bertpipe.annotators.plugins import BUILT_IN, load_plugin, plugin_points, plugins_left_aside
from bertpipe.annotators.spacy_columns import (
    COLUMNS,
    assigned_columns,
    check_columns,
    columns_type,
    read_columns,
    set_columns,
)
from bertpipe.annotators.spacy_folder import PipelineFolder, find_pipeline, pipeline_digest
from bertpipe.errors import ConfigError, ModelError
from bertpipe.settings import check_names, read_cfg

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

SETTINGS = ("columns", "reads")  # of every annotator here, beside those of spaCy
DOCS_AT_ONCE = 256


class SpacyPipeline:
    """Runs a pipeline of spaCy over texts and makes columns of what it leaves on the Docs.

    columns: which of `COLUMNS` there are; None is those that the pipeline says it assigns. One is
        the column, several are the fields of a struct.
    reads: earlier components whose annotations stand on the Docs beforehand; None is all.
    described: what a run records of the pipeline, `fingerprint` included.
    """

    def __init__(
        self,
        name: str,
        nlp: Language,
        *,
        columns: Sequence[str] | None = None,
        reads: Sequence[str] | None = None,
        described: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.nlp = nlp
        self.columns = check_columns(name, columns if columns is not None else _assigned(name, nlp))
        self.type = columns_type(self.columns)
        self.reads: tuple[str, ...] = ("text",)
        self.earlier: list[Annotator] = []
        self._wanted = reads
        self._described = dict(described or {})
        docs.register()

    def follow(self, earlier: Sequence[Annotator]) -> None:
        """Take note of the annotators that come before this one in a job."""
        known = {annotator.name: annotator for annotator in earlier}
        wanted = list(known) if self._wanted is None else self._wanted
        for name in wanted:
            if name not in known:
                raise ConfigError(
                    f"Component {self.name!r} reads {name!r}, which is no component before it; "
                    f"there are {', '.join(known) or 'none'}."
                )
        self.earlier = [known[name] for name in wanted]
        self.reads = ("text", *wanted)

    def annotate(self, batch: pa.RecordBatch) -> pa.Array:
        """Run the pipeline over the column `text`; it does not see null and blank texts."""
        firsts = range(0, batch.num_rows, DOCS_AT_ONCE)
        parts = [self._annotate(batch.slice(first, DOCS_AT_ONCE)) for first in firsts]
        return pa.concat_arrays(parts) if parts else pa.array([], self.type)

    def _annotate(self, batch: pa.RecordBatch) -> pa.Array:
        has_text = batch["text"].is_valid()
        trimmed = pc.utf8_trim_whitespace(batch["text"])
        runs = pc.fill_null(pc.not_equal(trimmed, ""), False).to_numpy(zero_copy_only=False)
        # What the vocabulary learns of these texts goes with them.
        with self.nlp.memory_zone():
            made = self._make_docs(batch.filter(pa.array(runs)))
            found = [*self.nlp.pipe(made), self.nlp.make_doc("")]
            values = read_columns(found, self.columns)
        place = np.where(runs, np.cumsum(runs) - 1, len(made))
        return values.take(pa.array(place, mask=~has_text.to_numpy(zero_copy_only=False)))

    def _make_docs(self, batch: pa.RecordBatch) -> list[Doc]:
        made = [self.nlp.make_doc(text) for text in batch["text"].to_pylist()]
        for annotator in self.earlier:
            for doc, value in zip(made, batch[annotator.name].to_pylist(), strict=True):
                if value is not None:
                    annotator.set_annotations(doc, value)
        return made

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        """Write the value to `doc._.bertpipe[name]`, and what it holds where spaCy has it."""
        overwrite = bool(self.earlier)  # what was read is among what was found
        set_columns(doc, self.name, annotation, self.columns, overwrite=overwrite)

    __call__ = docs.annotate_doc

    def describe(self) -> dict[str, Any]:
        """Return what a run records of this component; a resumed run compares `fingerprint`."""
        own = {"columns": list(self.columns), "reads": list(self.reads[1:])}
        fingerprint = {**self._described.get("fingerprint", {}), **own}
        return {**self._described, "columns": list(self.columns), "fingerprint": fingerprint}


def _assigned(name: str, nlp: Language) -> tuple[str, ...]:
    metas = [nlp.get_pipe_meta(each) for each in nlp.pipe_names]
    columns = assigned_columns(assigned for meta in metas for assigned in meta.assigns)
    if not columns:
        raise ConfigError(
            f"Component {name!r} does not say what it assigns to a Doc; give columns, a list of "
            f"{', '.join(COLUMNS)}."
        )
    return columns


def open_pipeline(
    name: str,
    *,
    model: str,
    columns: Sequence[str] | None = None,
    reads: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> SpacyPipeline:
    """Return a saved pipeline as the component `name`.

    exclude: components of it that are left out. The rest is for `SpacyPipeline`; a pipeline reads
    the text alone unless it is told otherwise.
    """
    folder = find_pipeline(model)
    nlp = _load(folder, exclude)
    what = {
        "pipeline": f"{nlp.meta['lang']}_{nlp.meta['name']} {nlp.meta['version']}",
        "digest": pipeline_digest(model),
    }
    described = {
        "model": model,
        "origin": folder.origin,
        "path": str(folder.path),
        "fingerprint": what,
    }
    return SpacyPipeline(name, nlp, columns=columns, reads=reads, described=described)


def _load(folder: PipelineFolder, exclude: Sequence[str]) -> Language:
    import spacy

    blocks = read_cfg(folder.path / "config.cfg").get("components", {})
    check_names(exclude, blocks, f"Pipeline {folder.name!r}", "component")
    _import_factories(block.get("factory") for block in blocks.values())
    try:
        with plugins_left_aside():
            return spacy.load(folder.name, exclude=list(exclude))
    except Exception as error:
        raise ModelError(
            f"Pipeline {folder.name!r} cannot be loaded ({type(error).__name__}: "
            f"{' '.join(str(error).split()):.300}); mend it, or install what it needs."
        ) from error


def _import_factories(names: Iterable[str | None]) -> None:
    points = plugin_points()
    for name in names:
        if name in BUILT_IN:
            import_module("bertpipe.annotators.factories")
        elif name in points:
            load_plugin(points[name])
