"""What every BERT component inherits: an encoder, a head, and the two routes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from bertpipe import docs
from bertpipe.annotator import Head
from bertpipe.annotators import upstream
from bertpipe.annotators.passes import Pass
from bertpipe.annotators.request import Request, text_request
from bertpipe.annotators.saving import copy_model, to_zip, unpack
from bertpipe.config import EncoderSettings
from bertpipe.encoder.device import list_devices, resolve_precision
from bertpipe.encoder.load import LoadedModel, load
from bertpipe.encoder.resolve import ModelFolder, resolve, weights_digest
from bertpipe.errors import ConfigError, ModelError
from bertpipe.upstream import STATES

if TYPE_CHECKING:
    from spacy.tokens import Doc


class BertAnnotator:
    """A spaCy component and annotator made of an encoder and a head.

    A subclass names its `type`, the class of transformers that opens its models (`auto_class`),
    which hidden states its head reads (`states`: those of `tokens`, of the `first` token, and of
    a bare encoder also their `mean` or `max` or its `pooler`), and makes the head in `make_head`.
    Nothing is loaded before the first text, so that a saved pipeline opens without its first model.
    """

    type: pa.DataType
    reads: tuple[str, ...] = ("text",)
    auto_class: str
    states = "tokens"

    def __init__(
        self,
        name: str,
        *,
        model: str,
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.revision = revision
        self.encoder = encoder or EncoderSettings()
        if self.encoder.upstream is not None:
            check_choice(name, "encoder", self.encoder.upstream, ("transformer",))
            self.reads = (*self.reads, STATES)
        self._process = os.getpid()
        self._is_unpacked = False
        self._error_handler: docs.ErrorHandler | None = None

    def make_head(self, loaded: LoadedModel) -> Head:
        """Return the head of this annotator on a loaded model."""
        raise NotImplementedError

    @cached_property
    def folder(self) -> ModelFolder:
        """Return the model's folder on this machine."""
        return resolve(self.model, revision=self.revision, offline=self.encoder.offline)

    @cached_property
    def loaded(self) -> LoadedModel:
        """Return the model, loaded at the first call."""
        device = list_devices(self.encoder.device)[0]
        return load(
            self.folder.path,
            auto_class=self.auto_class,
            states=self.states,
            device=device,
            precision=resolve_precision(self.encoder.precision, device),
            compiled=self.encoder.compile,
        )

    @cached_property
    def head(self) -> Head:
        """Return the head, made at the first call."""
        return self.make_head(self.loaded)

    @property
    def max_length(self) -> int:
        """Return how many tokens a window may have, special tokens included."""
        limit = self.loaded.max_length
        asked = self.encoder.max_length or limit
        if asked > limit:
            raise ConfigError(
                f"Component {self.name!r}: max_length {asked} is more than the {limit} tokens that "
                f"model {self.model!r} takes."
            )
        return asked

    def pass_key(self) -> tuple[object, ...]:
        """Return what annotators must agree on to share a pass."""
        settings = replace(self.encoder, max_length=self.max_length)
        return (self.loaded.tokenizer.to_str(), self.loaded.encoder.precision, settings, self.reads)

    def request(self, batch: pa.RecordBatch) -> Request:
        """Return what the rows ask of the encoder: each distinct text once."""
        return text_request(batch)

    def n_readings(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return how often the text of each row is read, int64 (n_rows,).

        A subclass that asks many things of a text says so here: memory is bounded by it.
        """
        return np.ones(batch.num_rows, dtype=np.int64)

    def scored(self, ids: np.ndarray) -> np.ndarray | None:
        """Return which tokens the head reads, bool, from their ids; None is all of them.

        The scores of the others are 0.
        """
        return None

    def collect(self, values: pa.Array, request: Request) -> pa.Array:
        """Give each row the value of its item; a row without one is null."""
        indices = np.zeros(len(request.has_text), dtype=np.int64)
        indices[request.has_text] = request.row_items
        return values.take(pa.array(indices, mask=~request.has_text))

    def annotate(self, batch: pa.RecordBatch) -> pa.Array:
        """Annotate the column `text` of a batch; see `bertpipe.annotator.Annotator`."""
        if os.getpid() != self._process:
            # A fork (`nlp.pipe(n_process=2)`) has none of its parent's threads, and torch would
            # wait for them without end.
            torch.set_num_threads(1)
        if self.encoder.upstream is not None:
            return upstream.annotate(self, batch)
        return self.own_pass.run(batch).columns[self.name]

    def describe(self) -> dict[str, Any]:
        """Return what a run records of this component; a resumed run compares `fingerprint`.

        Loads the model.
        """
        loaded = self.loaded
        return {
            "model": self.model,
            "origin": self.folder.origin,
            "path": str(self.folder.path),
            "labels": list(loaded.labels),
            "device": loaded.encoder.device,
            "encoder": loaded.encoder.kind,
            "fingerprint": {
                "weights": weights_digest(self.folder.path),
                "precision": loaded.encoder.precision,
                "max_length": self.max_length,
                "stride": self.encoder.stride,
                "truncation": self.encoder.truncation,
            },
        }

    @cached_property
    def own_pass(self) -> Pass:
        """Return the pass of this annotator alone."""
        return Pass([self])

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        """Write the exact value and, in a subclass, what spaCy can show of it."""
        docs.set_value(doc, self.name, annotation)

    def __call__(self, doc: Doc) -> Doc:
        """Annotate a Doc."""
        return next(docs.pipe(self, [doc], batch_size=1, handle_error=docs.raise_error))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of Docs, in order; see `bertpipe.docs.pipe`."""
        handle_error = self.get_error_handler()
        return docs.pipe(self, stream, batch_size=batch_size, handle_error=handle_error)

    def get_error_handler(self) -> docs.ErrorHandler:
        """Return what is called with a Doc that cannot be annotated; by default it raises."""
        return self._error_handler or docs.raise_error

    def set_error_handler(self, error_handler: docs.ErrorHandler) -> None:
        """Set what is called with a Doc that cannot be annotated; `nlp.set_error_handler` does."""
        self._error_handler = error_handler

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels that annotations can have, read without loading the model.

        Empty where the model is not there: spaCy asks before it opens a saved pipeline's model.
        """
        try:
            return self.labels_of(read_labels(self.folder.path))
        except ModelError:
            return ()

    def labels_of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels of annotations from those of the model."""
        return labels

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the model whole below `path`."""
        copy_model(self.folder.path, Path(path) / "model")

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> BertAnnotator:
        """Use the model that `to_disk` wrote below `path` from now on."""
        self._use(Path(path) / "model")
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return the model whole."""
        with TemporaryDirectory() as folder:
            copy_model(self.folder.path, Path(folder))
            return to_zip(Path(folder))

    def from_bytes(self, content: bytes, *, exclude: Iterable[str] = ()) -> BertAnnotator:
        """Use the model that `to_bytes` returned from now on."""
        self._use(unpack(content, self))
        self._is_unpacked = True
        return self

    def _use(self, folder: Path) -> None:
        self.model, self.revision, self._is_unpacked = str(folder), None, False
        for name in _LOADED:
            self.__dict__.pop(name, None)
        _ = self.folder  # a missing model is an error now, not at the first text

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings; a model that came from bytes goes with them."""
        state = {name: value for name, value in self.__dict__.items() if name not in _LOADED}
        return {**state, "_content": self.to_bytes() if self._is_unpacked else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        content = state.pop("_content")
        self.__dict__.update(state, _process=os.getpid())
        if content is not None:
            self.from_bytes(content)


_LOADED = ("folder", "loaded", "head", "own_pass")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the config of a model."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def read_labels(folder: Path) -> tuple[str, ...]:
    """Return the labels of a model in order, without loading it."""
    # transformers leaves its default out of config.json.
    names = read_config(folder).get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    return tuple(names[key] for key in sorted(names, key=int))


def check_choice(name: str, setting: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse a setting of component `name` that is not one of the allowed values."""
    if value not in allowed:
        choices = ", ".join(str(choice) for choice in allowed if choice is not None)
        raise ConfigError(f"Component {name!r}: {setting} {value!r} is unknown; use {choices}.")


def check_range(name: str, setting: str, value: float, *, least: float, most: float = inf) -> None:
    """Refuse a number of component `name` that lies outside its range, ends included."""
    if not least <= value <= most:
        limits = f"at least {least}" if most == inf else f"between {least} and {most}"
        raise ConfigError(f"Component {name!r}: {setting} {value!r} must be {limits}.")
