"""One trip of a batch of texts through encoders, serving every annotator that shares it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from bertpipe.annotators.request import Request, Windowed, refuse_many, slices, statistics
from bertpipe.annotators.scoring import Scorer
from bertpipe.batching.tokens import Tokens, tokenize
from bertpipe.batching.windows import Items, cut
from bertpipe.clock import Clock
from bertpipe.encoder.base import SharedRun
from bertpipe.encoder.device import default_batch_tokens
from bertpipe.lanes import Turns

if TYPE_CHECKING:
    from bertpipe.annotators.base import BertAnnotator


@dataclass(frozen=True)
class PassResult:
    """The columns of a pass by annotator, and the statistics of its rows (`STATISTICS`)."""

    columns: dict[str, pa.Array]
    statistics: pa.RecordBatch


class Pass:
    """Runs annotators that agree on tokenizer, windows, device and precision together."""

    def __init__(self, annotators: Sequence[BertAnnotator]) -> None:
        self.annotators = list(annotators)
        self.loaded = self.annotators[0].loaded
        self.settings = self.annotators[0].encoder
        self.encoders = SharedRun([annotator.loaded.encoder for annotator in annotators])
        for annotator, encoder in zip(annotators, self.encoders.encoders, strict=True):
            annotator.loaded = replace(annotator.loaded, encoder=encoder)
        device, precision = self.loaded.encoder.device, self.loaded.encoder.precision
        self.clock = Clock()
        self.scorer = Scorer(
            self.annotators,
            self.encoders,
            batch_tokens=self.settings.batch_tokens or default_batch_tokens(device, precision),
            clock=self.clock,
        )
        self.max_length = self.annotators[0].max_length
        self.max_windows: int | None = None  # of a row
        self.turns = Turns()
        self.tokenize: Callable[[Tokenizer, Sequence[str]], Tokens] = tokenize
        # Of the chunk before: questions and hypotheses stay the same from chunk to chunk.
        self._prefixes: tuple[list[str], Tokens] | None = None

    def run(self, batch: pa.RecordBatch) -> PassResult:
        """Annotate the rows of a batch with a column `text` and what else the annotators read."""
        first = self.annotators[0]
        found = [self._run(part) for part in slices(batch, first.n_readings(batch))]
        if len(found) == 1:
            return found[0]
        columns = {
            each.name: pa.concat_arrays([part.columns[each.name] for part in found])
            for each in self.annotators
        }
        return PassResult(columns, pa.concat_batches([part.statistics for part in found]))

    def _run(self, batch: pa.RecordBatch) -> PassResult:
        with self._turn(self.turns.ask), self.clock.timed("tokenize"):
            request = self.annotators[0].request(batch)
        with self.clock.timed("tokenize"):
            windowed = self._cut(request)
        with self._turn(self.turns.score):
            scores = self.scorer(windowed)
        with self._turn(self.turns.decode), self.clock.timed("decode"):
            columns = {
                each.name: each.collect(each.head.decode(found, windowed), windowed.request)
                for each, found in zip(self.annotators, scores, strict=True)
            }
        return PassResult(columns, statistics(windowed))

    @contextmanager
    def _turn(self, lock: threading.RLock) -> Iterator[None]:
        with self.clock.timed("turn"):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @property
    def counts(self) -> Counter[str]:
        """Return what went through the encoders; see `Scorer`."""
        return self.scorer.counts

    def describe(self) -> dict[str, Any]:
        """Return which annotators share the pass, and how many layers each takes from another.

        layers: of each annotator's encoder. shared: those that one before it has computed already.
        tokens: how many tokens went through, special tokens counted. batch_tokens: the budget of a
        batch, as it is now.
        """
        names = [annotator.name for annotator in self.annotators]
        layers = [encoder.n_layers for encoder in self.encoders.encoders]
        return {
            "layers": dict(zip(names, layers, strict=True)),
            "shared": dict(zip(names, self.encoders.n_shared, strict=True)),
            "tokens": self.counts["tokens"],
            "batch_tokens": self.scorer.batch_tokens,
        }

    def score_one(self, tokens: Tokens) -> tuple[Windowed, np.ndarray]:
        """Score texts that are tokens already, each an item, for the first annotator."""
        n_texts = len(tokens.lengths)
        request = Request(
            texts=[""] * n_texts,
            prefixes=[],
            items=Items(np.arange(n_texts, dtype=np.int32)),
            row_offsets=np.arange(n_texts + 1),
            row_items=np.arange(n_texts),
            has_text=np.ones(n_texts, dtype=bool),
        )
        windowed = self._windowed(request, tokens, None)
        return windowed, self.scorer(windowed)[0]

    def _cut(self, request: Request) -> Windowed:
        prefixes = self._read_prefixes(list(request.prefixes)) if request.prefixes else None
        tokens = self.tokenize(self.loaded.tokenizer, request.texts)
        return self._windowed(request, tokens, prefixes)

    def _read_prefixes(self, prefixes: list[str]) -> Tokens:
        known = self._prefixes
        if known is None or known[0] != prefixes:
            known = self._prefixes = prefixes, self.tokenize(self.loaded.tokenizer, prefixes)
        return known[1]

    def _windowed(self, request: Request, tokens: Tokens, prefixes: Tokens | None) -> Windowed:
        settings = self.settings
        windows = cut(
            tokens,
            request.items,
            self.loaded.template,
            max_length=self.max_length,
            stride=settings.stride,
            truncation=settings.truncation,
            prefixes=prefixes,
        )
        if self.max_windows is not None:
            refuse_many(request, windows, self.max_windows)
        return Windowed(request, tokens, prefixes, windows)
