"""Heads on hidden states that the `transformer` of a spaCy pipeline has computed already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from bertpipe.annotators.request import Request, Windowed
from bertpipe.batching.plan import pack
from bertpipe.batching.tokens import Template, Tokens, tokenize
from bertpipe.batching.windows import Items, Windows, ranges
from bertpipe.encoder.base import SharedRun, to_device
from bertpipe.errors import ConfigError, DocumentError
from bertpipe.upstream import STATES

if TYPE_CHECKING:
    from bertpipe.annotators.base import BertAnnotator

# The least cosine of states that one encoder computes in two ways; bf16 keeps 0.9999.
SAME = 0.999


@torch.inference_mode()
def annotate(annotator: BertAnnotator, batch: pa.RecordBatch) -> pa.Array:
    """Annotate rows with hidden states in the column `doc._.trf_data` (`bertpipe.upstream`)."""
    read = _read(annotator, batch)
    _check_encoder(annotator, read)
    scores = np.zeros((0, annotator.head.n_scores), np.float32)
    if len(read.windowed.windows):
        hidden = _states(read, annotator.states).to(annotator.loaded.encoder.device)
        scores = annotator.head.scores(hidden).float().cpu().numpy()
    values = annotator.head.decode(scores, read.windowed)
    return annotator.collect(values, read.windowed.request)


@dataclass(frozen=True)
class Read:
    """What the transformer read, in our windows.

    hidden: float32 (n_tokens, width), the states of all windows end to end, special tokens
    included. offsets: int64 (n_windows + 1,). n_before: special tokens before each body.
    """

    windowed: Windowed
    hidden: Tensor
    offsets: np.ndarray
    n_before: int


def _read(annotator: BertAnnotator, batch: pa.RecordBatch) -> Read:
    if STATES not in batch.schema.names or batch[STATES].null_count:
        raise ConfigError(
            f"Component {annotator.name!r} has encoder 'transformer', but no hidden states are "
            "there: put a component 'transformer' of spacy-transformers before it in a pipeline "
            "of spaCy."
        )
    column = batch[STATES]
    windows = pc.list_flatten(column)
    row = pc.list_parent_indices(column).to_numpy().astype(np.int32)
    start = windows.field("start").to_numpy().astype(np.int64)
    end = windows.field("end").to_numpy()
    texts = batch["text"].to_pylist()
    parts = [texts[i][a:b] for i, a, b in zip(row, start, end, strict=True)]
    tokens = tokenize(annotator.loaded.tokenizer, parts)
    ids, states = (pc.list_flatten(windows.field(name)).to_numpy() for name in ("ids", "states"))
    lengths = pc.list_value_length(windows.field("ids")).to_numpy().astype(np.int64)
    template = annotator.loaded.template
    _check_tokens(annotator, template, tokens, ids, lengths)
    shift = np.repeat(start, tokens.lengths).astype(np.int32)
    placed = replace(tokens, starts=tokens.starts + shift, ends=tokens.ends + shift)
    windowed = Windowed(
        request=_request(texts),
        tokens=placed,
        prefixes=None,
        windows=_windows(row, placed, start, end, template, n_items=len(texts)),
    )
    width = len(states) // max(1, len(ids))
    hidden = torch.from_numpy(states.reshape(len(ids), width).copy())
    return Read(windowed, hidden, np.concatenate([[0], np.cumsum(lengths)]), len(template.before))


def _request(texts: list[str]) -> Request:
    n_texts = len(texts)
    return Request(
        texts=texts,
        prefixes=[],
        items=Items(np.arange(n_texts, dtype=np.int32)),
        row_offsets=np.arange(n_texts + 1),
        row_items=np.arange(n_texts),
        has_text=np.ones(n_texts, dtype=bool),
    )


def _check_tokens(
    annotator: BertAnnotator,
    template: Template,
    tokens: Tokens,
    ids: np.ndarray,
    lengths: np.ndarray,
) -> None:
    """Refuse states of other tokens than ours: our offsets and labels would not be theirs."""
    expected = [
        (*template.before, *tokens.ids[begin:end], *template.after)
        for begin, end in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    ]
    found = np.split(ids, np.cumsum(lengths)[:-1])
    for theirs, ours in zip(found, expected, strict=False):
        if len(theirs) < len(ours) and tuple(theirs) == ours[: len(theirs)]:
            raise DocumentError(
                f"The component 'transformer' cut {len(ours)} tokens to {len(theirs)}; give it "
                "shorter spans (get_spans)."
            )
        if tuple(theirs) != ours:
            raise ConfigError(
                f"Component {annotator.name!r}: the tokenizer of model {annotator.model!r} is not "
                "that of the component 'transformer'; both must come from one encoder."
            )


def _windows(
    row: np.ndarray,
    tokens: Tokens,
    start: np.ndarray,
    end: np.ndarray,
    template: Template,
    *,
    n_items: int,
) -> Windows:
    """Return the windows; of two that overlap each speaks for its half of what they share."""
    begin, stop = tokens.offsets[:-1], tokens.offsets[1:]
    keep_begin, keep_end = begin.copy(), stop.copy()
    overlaps = (row[1:] == row[:-1]) & (start[1:] < end[:-1])
    for i in np.flatnonzero(overlaps):
        one, two = slice(begin[i], stop[i]), slice(begin[i + 1], stop[i + 1])
        middle = (int(start[i + 1]) + int(end[i])) // 2
        n_left = np.searchsorted(tokens.starts[two], middle)
        # Both halves meet at a token of the second window.
        meet = tokens.starts[two][n_left] if n_left < stop[i + 1] - begin[i + 1] else end[i]
        keep_begin[i + 1] = begin[i + 1] + n_left
        keep_end[i] = begin[i] + np.searchsorted(tokens.starts[one], meet)
    return Windows(
        item=row,
        prefix=np.full(len(row), -1, dtype=np.int32),
        begin=begin,
        end=stop,
        keep_begin=keep_begin,
        keep_end=keep_end,
        lengths=stop - begin + template.n_single,
        rows=np.concatenate([[0], np.cumsum(1 + stop - begin)]),
        truncated=np.zeros(n_items, dtype=bool),
    )


def _states(read: Read, states: str) -> Tensor:
    """Return what a head reads: states of first tokens and bodies, or one a window."""
    first = read.offsets[:-1]
    if states == "first":
        return read.hidden[torch.from_numpy(first)]
    if states in ("mean", "max"):
        lengths = torch.from_numpy(np.diff(read.offsets))
        return torch.segment_reduce(read.hidden, states, lengths=lengths)
    rows = read.windowed.windows.rows
    n_body = np.diff(rows) - 1
    chosen = np.empty(int(rows[-1]), dtype=np.int64)
    chosen[rows[:-1]] = first
    body = first + read.n_before
    chosen[ranges(rows[:-1] + 1, rows[1:])] = ranges(body, body + n_body)
    return read.hidden[torch.from_numpy(chosen)]


def _check_encoder(annotator: BertAnnotator, read: Read) -> None:
    """Compare the states of one window with those of the model's own encoder, and let that go."""
    loaded = annotator.loaded
    if not loaded.encoder.stages or not len(read.windowed.windows):
        return
    windows, tokens = read.windowed.windows, read.windowed.tokens
    batch = pack(np.array([0]), tokens, windows, loaded.template)
    own = SharedRun([loaded.encoder])(to_device(batch, loaded.encoder.device))[0].float().cpu()
    if annotator.states == "tokens":
        own = own[torch.from_numpy(batch.scored)]
    theirs = _states(read, annotator.states)[: len(own)]
    if theirs.shape != own.shape or torch.cosine_similarity(own, theirs).min() < SAME:
        raise ConfigError(
            f"Component {annotator.name!r}: the encoder of model {annotator.model!r} is not that "
            "of the component 'transformer'; train the head on that encoder, all its layers frozen."
        )
    _ = annotator.head
    annotator.loaded = replace(loaded, encoder=replace(loaded.encoder, stages=()))
