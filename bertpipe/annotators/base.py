"""What every BERT component inherits: an encoder, a head, and the two routes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bertpipe.annotator import Head
from bertpipe.annotators.passes import Pass, Request, text_request
from bertpipe.config import EncoderSettings
from bertpipe.encoder.device import list_devices, resolve_precision
from bertpipe.encoder.load import LoadedModel, load
from bertpipe.encoder.resolve import ModelFolder, resolve, weights_digest
from bertpipe.errors import ConfigError

if TYPE_CHECKING:
    pass


class BertAnnotator:
    """A spaCy component and annotator made of an encoder and a head.

    A subclass names its `type`, the class of transformers that opens its models (`auto_class`),
    whether its head reads first tokens only, and makes the head in `make_head`.
    Nothing is loaded before the first text, so that a saved pipeline opens without its first model.
    """

    type: pa.DataType
    reads: tuple[str, ...] = ("text",)
    auto_class: str
    first_token = False

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
            first_token=self.first_token,
            device=device,
            precision=resolve_precision(self.encoder.precision, device),
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

    def collect(self, values: pa.Array, request: Request) -> pa.Array:
        """Give each row the value of its item; a row without one is null."""
        indices = np.zeros(len(request.has_text), dtype=np.int64)
        indices[request.has_text] = request.row_items
        return values.take(pa.array(indices, mask=~request.has_text))

    def annotate(self, batch: pa.RecordBatch) -> pa.Array:
        """Annotate the column `text` of a batch; see `bertpipe.annotator.Annotator`."""
        return self._own_pass.run(batch).columns[self.name]

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
    def _own_pass(self) -> Pass:
        return Pass([self])


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
