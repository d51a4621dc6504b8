"""The device's part of a pass: planned batches through encoders and heads."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bertpipe.annotators.request import Windowed
from bertpipe.batching.plan import Batch, pack, plan
from bertpipe.batching.windows import Windows
from bertpipe.clock import Clock
from bertpipe.encoder.base import SharedRun, to_device
from bertpipe.encoder.transfer import Stopwatch, current, to_cpu, to_gpu

if TYPE_CHECKING:
    from bertpipe.annotators.base import BertAnnotator

IN_FLIGHT = 2  # batches that a GPU was given: it finds the second at hand when it ends the first


@dataclass(frozen=True)
class _Flight:
    """A batch on the device.

    rows: what each head reads of it. scores: those of each head, on their way to the CPU.
    """

    rows: list[np.ndarray]
    scores: list[Tensor]
    watch: Stopwatch


class Scorer:
    """Scores windows for annotators whose encoders run together.

    batch_tokens: the budget of a batch; less from then on when one does not fit the device's
    memory. counts: tokens, padded (tokens computed for nothing), windows, batches, halvings.
    """

    def __init__(
        self,
        annotators: Sequence[BertAnnotator],
        encoders: SharedRun,
        *,
        batch_tokens: int,
        clock: Clock,
    ) -> None:
        self.annotators = annotators
        self.encoders = encoders
        self.loaded = annotators[0].loaded
        self.device = self.loaded.encoder.device
        self.heads = [annotator.head for annotator in annotators]
        self.batch_tokens = batch_tokens
        self.clock = clock
        self.counts: Counter[str] = Counter()

    @torch.inference_mode()
    def __call__(self, windowed: Windowed) -> list[np.ndarray]:
        """Return the scores of each annotator for all windows, as its head's decode wants them."""
        windows = windowed.windows
        found: list[np.ndarray | None] = [None] * len(self.heads)
        left = deque(plan(windows.lengths, budget=self.batch_tokens))
        flights: deque[_Flight] = deque()
        with current(self.device):
            while left or flights:
                if not left or len(flights) == IN_FLIGHT:
                    self._land(flights.popleft(), found, windows)
                    continue
                flight = self._start(self._packed(left[0], windowed), n_windows=len(left[0]))
                if flight is None:
                    left = self._planned_anew(left, windows.lengths)
                else:
                    left.popleft()
                    flights.append(flight)
        return [
            np.zeros((0, head.n_scores), np.float32) if scores is None else scores
            for scores, head in zip(found, self.heads, strict=True)
        ]

    def _packed(self, which: np.ndarray, windowed: Windowed) -> Batch:
        with self.clock.timed("pack"):
            return pack(
                which,
                windowed.tokens,
                windowed.windows,
                self.loaded.template,
                windowed.prefixes,
                text_first=windowed.request.text_first,
            )

    def _start(self, batch: Batch, *, n_windows: int) -> _Flight | None:
        """Give a batch to the device; None is for one that does not fit its memory.

        Raises:
            torch.OutOfMemoryError: One window alone does not fit.
        """
        watch = Stopwatch(self.device)
        try:
            rows, scores = self._heads_on(batch)
        except torch.OutOfMemoryError:
            if n_windows == 1:
                raise
            return None
        watch.stop()
        self._count(batch)
        return _Flight(rows, scores, watch)

    def _planned_anew(self, left: Sequence[np.ndarray], lengths: np.ndarray) -> deque[np.ndarray]:
        """Halve the budget below what did not fit, the first of the batches that are left."""
        self.counts["halvings"] += 1
        cost = len(left[0]) * int(lengths[left[0]].max())
        self.batch_tokens = max(1, cost // 2)
        rest = np.concatenate(left)
        return deque(rest[each] for each in plan(lengths[rest], budget=self.batch_tokens))

    def _heads_on(self, batch: Batch) -> tuple[list[np.ndarray], list[Tensor]]:
        """Return the rows that each head reads of a batch, and their scores."""
        inputs = to_device(batch, self.device)
        scored = to_gpu(batch.scored, self.device)
        rows, scores = [], []
        for annotator, head, hidden in zip(
            self.annotators, self.heads, self.encoders(inputs), strict=True
        ):
            read = batch.windows
            if annotator.states == "tokens":
                read, hidden = batch.rows, hidden[scored]
                is_read = annotator.scored(batch.ids[batch.scored])
                if is_read is not None:
                    chosen = np.flatnonzero(is_read)
                    read, hidden = read[chosen], hidden[to_gpu(chosen, self.device)]
            rows.append(read)
            scores.append(to_cpu(head.scores(hidden).float()))
        return rows, scores

    def _land(self, flight: _Flight, found: list[np.ndarray | None], windows: Windows) -> None:
        """Write the scores of a batch where its windows belong, once they are here."""
        self.clock.add("forward", flight.watch.seconds())
        for i, (rows, scores) in enumerate(zip(flight.rows, flight.scores, strict=True)):
            place = found[i]
            if place is None:
                of_tokens = self.annotators[i].states == "tokens"
                n_rows = int(windows.rows[-1]) if of_tokens else len(windows)
                place = found[i] = np.zeros((n_rows, scores.shape[1]), dtype=np.float32)
            place[rows] = scores.numpy()

    def _count(self, batch: Batch) -> None:
        lengths = np.diff(batch.offsets)
        if self.loaded.encoder.kind != "packed":
            self.counts["padded"] += int(lengths.max() * len(lengths) - lengths.sum())
        self.counts["tokens"] += int(lengths.sum())
        self.counts["windows"] += len(lengths)
        self.counts["batches"] += 1
