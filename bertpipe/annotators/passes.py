"""One trip of a batch of texts through encoders, serving every annotator that shares it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from bertpipe.batching.plan import Batch, pack, plan
from bertpipe.batching.tokens import Tokens, tokenize
from bertpipe.batching.windows import Items, Windows, cut
from bertpipe.encoder.base import SharedRun, to_device
from bertpipe.encoder.device import default_batch_tokens
from bertpipe.errors import DocumentError
from bertpipe.records import STATISTICS

if TYPE_CHECKING:
    from bertpipe.annotators.base import BertAnnotator


@dataclass(frozen=True)
class Request:
    """What the rows of a batch ask of an encoder, with equal texts asked once.

    texts, prefixes: distinct strings that the items refer to.
    row_offsets: int64 (n_rows + 1,). The items of row i are
        row_items[row_offsets[i]:row_offsets[i + 1]].
    has_text: bool (n_rows,). A row without a text has no item.
    row_spans: int32 (len(row_items), 2), the characters of the row's text that each item is, where
        items are parts of texts.
    text_first: whether the text stands before the prefix, which is no prefix then.
    """

    texts: list[str]
    prefixes: list[str]
    items: Items
    row_offsets: np.ndarray
    row_items: np.ndarray
    has_text: np.ndarray
    row_spans: np.ndarray | None = None
    text_first: bool = False


@dataclass(frozen=True)
class Windowed:
    """A request, tokenised and cut."""

    request: Request
    tokens: Tokens
    prefixes: Tokens | None
    windows: Windows


@dataclass(frozen=True)
class PassResult:
    """The columns of a pass by annotator, and the statistics of its rows (`STATISTICS`)."""

    columns: dict[str, pa.Array]
    statistics: pa.RecordBatch


def text_request(batch: pa.RecordBatch) -> Request:
    """Ask for each distinct text of the batch; a null text has no item."""
    encoded = batch["text"].dictionary_encode()
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    texts = encoded.dictionary.to_pylist()
    present = indices >= 0
    return Request(
        texts=texts,
        prefixes=[],
        items=Items(np.arange(len(texts), dtype=np.int32)),
        row_offsets=np.concatenate([[0], np.cumsum(present)]),
        row_items=indices[present],
        has_text=present,
    )


class Pass:
    """Runs annotators that agree on tokenizer, windows, device and precision together.

    seconds: time by stage. counts: tokens, padded (tokens computed for nothing), windows, batches,
    halvings (batches that did not fit the device's memory).
    """

    def __init__(self, annotators: Sequence[BertAnnotator]) -> None:
        self.annotators = list(annotators)
        self.loaded = self.annotators[0].loaded
        self.settings = self.annotators[0].encoder
        self.encoders = SharedRun([annotator.loaded.encoder for annotator in annotators])
        self.heads = [annotator.head for annotator in annotators]
        for annotator, encoder in zip(annotators, self.encoders.encoders, strict=True):
            annotator.loaded = replace(annotator.loaded, encoder=encoder)
        device = self.loaded.encoder.device
        self.batch_tokens = self.settings.batch_tokens or default_batch_tokens(device)
        self.max_length = self.annotators[0].max_length
        self.max_windows: int | None = None  # of a row
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.counts: Counter[str] = Counter()

    def run(self, batch: pa.RecordBatch) -> PassResult:
        """Annotate the rows of a batch with a column `text` and what else the annotators read."""
        with self._timed("tokenize"):
            windowed = self._cut(self.annotators[0].request(batch))
        scores = self._score(windowed)
        with self._timed("decode"):
            columns = {
                annotator.name: annotator.collect(head.decode(found, windowed), windowed.request)
                for annotator, head, found in zip(self.annotators, self.heads, scores, strict=True)
            }
        return PassResult(columns, _statistics(windowed))

    def describe(self) -> dict[str, Any]:
        """Return which annotators share the pass, and how many layers each takes from another.

        layers: of each annotator's encoder. shared: those that one before it has computed already.
        tokens: how many tokens went through, special tokens counted.
        """
        names = [annotator.name for annotator in self.annotators]
        layers = [encoder.n_layers for encoder in self.encoders.encoders]
        return {
            "layers": dict(zip(names, layers, strict=True)),
            "shared": dict(zip(names, self.encoders.n_shared, strict=True)),
            "tokens": self.counts["tokens"],
        }

    def cut(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the statistics of the rows without running the encoder."""
        return _statistics(self._cut(self.annotators[0].request(batch)))

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
        return windowed, self._score(windowed)[0]

    def _cut(self, request: Request) -> Windowed:
        tokenizer = self.loaded.tokenizer
        prefixes = tokenize(tokenizer, request.prefixes) if request.prefixes else None
        return self._windowed(request, tokenize(tokenizer, request.texts), prefixes)

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
            _refuse_many(_n_windows(request, windows), self.max_windows)
        return Windowed(request, tokens, prefixes, windows)

    @torch.inference_mode()
    def _score(self, windowed: Windowed) -> list[np.ndarray]:
        """Return the scores of each annotator for all windows, as its head's decode wants them."""
        windows = windowed.windows
        found: list[np.ndarray | None] = [None] * len(self.heads)
        for which in plan(windows.lengths, budget=self.batch_tokens):
            for scored in self._forward(which, windowed):
                for i, (rows, part) in enumerate(scored):
                    found[i] = self._place(found[i], rows, part, i, windows)
        return [
            np.zeros((0, annotator.head.n_scores), np.float32) if part is None else part
            for part, annotator in zip(found, self.annotators, strict=True)
        ]

    def _forward(
        self, which: np.ndarray, windowed: Windowed
    ) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
        """Score a batch; one that does not fit the device's memory is halved."""
        with self._timed("pack"):
            batch = pack(
                which,
                windowed.tokens,
                windowed.windows,
                self.loaded.template,
                windowed.prefixes,
                text_first=windowed.request.text_first,
            )
        try:
            with self._timed("forward"):
                scores = self._heads_on(batch)
        except torch.OutOfMemoryError:
            if len(which) == 1:
                raise
            scores = None
        if scores is not None:
            self._count(batch)
            yield scores
            return
        self.counts["halvings"] += 1
        middle = len(which) // 2
        yield from self._forward(which[:middle], windowed)
        yield from self._forward(which[middle:], windowed)

    def _heads_on(self, batch: Batch) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return what each head gives for a batch: the rows it read, and their scores."""
        inputs = to_device(batch, self.loaded.encoder.device)
        scored = torch.from_numpy(batch.scored).to(inputs.ids.device)
        found = []
        for annotator, head, hidden in zip(
            self.annotators, self.heads, self.encoders(inputs), strict=True
        ):
            rows = batch.windows
            if annotator.states == "tokens":
                rows, hidden = batch.rows, hidden[scored]
                chosen = annotator.scored(batch.ids[batch.scored])
                if chosen is not None:
                    rows, hidden = rows[chosen], hidden[torch.from_numpy(chosen).to(hidden.device)]
            found.append((rows, head.scores(hidden).float().cpu().numpy()))
        return found

    def _place(
        self,
        found: np.ndarray | None,
        rows: np.ndarray,
        part: np.ndarray,
        i: int,
        windows: Windows,
    ) -> np.ndarray:
        """Write the scores of a batch where their windows belong."""
        if found is None:
            of_tokens = self.annotators[i].states == "tokens"
            n_rows = int(windows.rows[-1]) if of_tokens else len(windows)
            found = np.zeros((n_rows, part.shape[1]), dtype=np.float32)
        found[rows] = part
        return found

    def _count(self, batch: Batch) -> None:
        lengths = np.diff(batch.offsets)
        if self.loaded.encoder.kind != "packed":
            self.counts["padded"] += int(lengths.max() * len(lengths) - lengths.sum())
        self.counts["tokens"] += int(lengths.sum())
        self.counts["windows"] += len(lengths)
        self.counts["batches"] += 1

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start


def _statistics(windowed: Windowed) -> pa.RecordBatch:
    """Count the tokens and windows of each row, special tokens left out; null without a text."""
    request, windows = windowed.request, windowed.windows
    items = request.row_items
    row, n_rows = _rows(request), len(request.row_offsets) - 1
    n_tokens, truncated = (np.zeros(n_rows, dtype=np.int32) for _ in range(2))
    lengths = windowed.tokens.lengths[request.items.text][items].astype("int32")
    # Items of a row are one text several times, or its parts, each of which may come several times.
    if request.row_spans is None:
        np.maximum.at(n_tokens, row, lengths)
    else:
        is_new = _differs(np.column_stack([row, request.row_spans]))
        np.add.at(n_tokens, row[is_new], lengths[is_new])
    np.maximum.at(truncated, row, windows.truncated[items].astype("int32"))
    missing = ~request.has_text
    columns = (n_tokens, _n_windows(request, windows), truncated.astype(bool))
    return pa.record_batch([pa.array(column, mask=missing) for column in columns], STATISTICS)


def _differs(rows: np.ndarray) -> np.ndarray:
    """Tell which rows (n, width) are not equal to the row before them."""
    found = np.ones(len(rows), dtype=bool)
    found[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return found


def _rows(request: Request) -> np.ndarray:
    """Return the row of each of the request's `row_items`."""
    return np.repeat(np.arange(len(request.row_offsets) - 1), np.diff(request.row_offsets))


def _n_windows(request: Request, windows: Windows) -> np.ndarray:
    """Return how many windows each row has, int32 (n_rows,)."""
    found = np.zeros(len(request.row_offsets) - 1, dtype=np.int32)
    of_item = np.diff(windows.offsets).astype(np.int32)
    np.add.at(found, _rows(request), of_item[request.row_items])
    return found


def _refuse_many(n_windows: np.ndarray, max_windows: int) -> None:
    if n_windows.max(initial=0) > max_windows:
        raise DocumentError(
            f"The document has {n_windows.max():,} windows, more than max_windows {max_windows:,};"
            " raise that, or set truncation to head."
        )
