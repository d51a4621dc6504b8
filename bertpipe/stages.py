"""What happens to a chunk between reading and writing: annotators run, errors are isolated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.annotator import Annotator
from bertpipe.clock import Clock
from bertpipe.errors import BertpipeError, DocumentError, UsageError, WorkerError
from bertpipe.lanes import Turns
from bertpipe.masking import hide_secrets
from bertpipe.patience import Patience
from bertpipe.records import ERROR, ERROR_TYPE, STATISTICS
from bertpipe.steps import Outcome, PassStep, Step, make_steps, no_statistics

if TYPE_CHECKING:
    from bertpipe.batching.tokens import Tokens

MAX_MESSAGE_CHARS = 500


class Stages:
    """Takes chunks from records to output columns.

    Several threads may do so at the same time, unless there is a document_timeout.
    clock: time by stage. counts: rows, errors, characters and what the passes count.
    tokenize: used by passes instead of their own way.
    """

    def __init__(
        self,
        annotators: Sequence[Annotator],
        *,
        text_field: str,
        max_windows: int | None = None,
        document_timeout: float | None = None,
        is_alone: bool = False,
        tokenize: Callable[..., Tokens] | None = None,
    ) -> None:
        self.steps = make_steps(annotators)
        turns = Turns()  # all passes are on one device
        for step in self.steps:
            if isinstance(step, PassStep):
                step.shared.max_windows = max_windows
                step.shared.turns = turns
                step.shared.tokenize = tokenize or step.shared.tokenize
        self.patience = [Patience(document_timeout, is_alone=is_alone) for _ in self.steps]
        self.text_field = text_field
        self.types = {annotator.name: annotator.type for annotator in annotators}
        self.clock = Clock()

    def annotate(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Return the records with the annotation columns, the statistics and `_error` added.

        A record without a text, or in error, goes through no annotator; its annotations are null.
        """
        with self.clock.timed("annotate"):
            return self._annotated(records)

    def _annotated(self, records: pa.RecordBatch) -> pa.RecordBatch:
        has_text = records.column(self.text_field).is_valid()
        is_usable = pc.and_(has_text, records.column(ERROR).is_null())
        usable = np.flatnonzero(is_usable.to_numpy(zero_copy_only=False))
        outcome = self._run_steps(_input(records, self.text_field).take(pa.array(usable)))
        place = np.zeros(records.num_rows, dtype=np.int64)
        place[usable] = np.arange(len(usable))
        missing = np.ones(records.num_rows, dtype=bool)
        missing[usable] = False
        indices = pa.array(place, mask=missing)
        columns = {name: array.take(indices) for name, array in outcome.columns.items()}
        statistics = outcome.statistics or no_statistics(len(usable))
        for name, array in zip(STATISTICS.names, statistics.columns, strict=True):
            columns[name] = array.take(indices)
        errors = {int(usable[row]): error for row, error in outcome.errors.items()}
        columns[ERROR] = _merge_errors(records.column(ERROR), errors)
        return _with_columns(records, columns)

    def _run_steps(self, batch: pa.RecordBatch) -> Outcome:
        columns: dict[str, pa.Array] = {}
        errors: dict[int, dict[str, Any]] = {}
        statistics = None
        for step, patience in zip(self.steps, self.patience, strict=True):
            outcome = run_patiently(step, _with_columns(batch, columns), patience)
            columns.update(outcome.columns)
            statistics = statistics or outcome.statistics
            errors = outcome.errors | errors  # the first component's error stands
        return Outcome({name: columns[name] for name in self.types}, statistics, errors)

    def counts(self) -> dict[str, int]:
        """Return what the passes counted, summed."""
        total: Counter[str] = Counter()
        for step in self.steps:
            if isinstance(step, PassStep):
                total.update(dict(step.shared.counts))
        return dict(total)

    def passes(self) -> list[dict[str, Any]]:
        """Return what each pass says of itself; see `Pass.describe`."""
        return [step.shared.describe() for step in self.steps if isinstance(step, PassStep)]

    def timings(self) -> dict[str, float]:
        """Return the seconds spent by stage."""
        clocks = [step.shared.clock for step in self.steps if isinstance(step, PassStep)]
        total = dict(self.clock.seconds)
        for clock in clocks:
            spent = dict(clock.seconds)
            total |= {stage: total.get(stage, 0.0) + seconds for stage, seconds in spent.items()}
        return total


def run_patiently(step: Step, batch: pa.RecordBatch, patience: Patience) -> Outcome:
    """Run a step in isolation on as many rows at a time as its time can be told of."""
    n_done = patience.next_rows(batch.num_rows)
    outcome = run_isolated(step, batch.slice(0, n_done), patience)
    while n_done < batch.num_rows:
        n_rows = patience.next_rows(batch.num_rows - n_done)
        more = run_isolated(step, batch.slice(n_done, n_rows), patience)
        outcome = _join(step, outcome, more, n_done, n_done + n_rows)
        n_done += n_rows
    return outcome


def run_isolated(step: Step, batch: pa.RecordBatch, patience: Patience) -> Outcome:
    """Run a step; when it raises, halve the batch until the records that make it raise are known.

    A wrong setting or a broken contract is nobody's record and is raised.
    """
    try:
        with patience.over(batch):
            return step.run(batch)
    except (UsageError, KeyboardInterrupt):
        raise
    except BertpipeError as error:
        if not isinstance(error, DocumentError):
            raise
        caught: Exception = error
    except Exception as error:
        caught = error
    if type(caught).__name__ == "AcceleratorError" or "CUDA error" in str(caught):
        # After such an error every call on the device fails: it says nothing about the record.
        cause = f"The device of {', '.join(step.names)} failed ({caught})"
        raise WorkerError(
            f"{cause}; what is committed stands. Run the same command again to go on.", cause=cause
        ) from caught
    if batch.num_rows == 1:
        return _failed(step, caught)
    middle = batch.num_rows // 2
    left = run_isolated(step, batch.slice(0, middle), patience)
    right = run_isolated(step, batch.slice(middle), patience)
    return _join(step, left, right, middle, batch.num_rows)


def _failed(step: Step, error: Exception) -> Outcome:
    record = {
        "stage": "annotate",
        "component": ",".join(step.names),
        "type": type(error).__name__,
        "message": hide_secrets(str(error))[:MAX_MESSAGE_CHARS],
    }
    columns = {name: pa.nulls(1, kind) for name, kind in zip(step.names, step.types, strict=True)}
    return Outcome(columns, None, {0: record})


def _join(step: Step, left: Outcome, right: Outcome, n_left: int, n_rows: int) -> Outcome:
    columns = {
        name: pa.concat_arrays([left.columns[name], right.columns[name]]) for name in step.names
    }
    errors = left.errors | {row + n_left: error for row, error in right.errors.items()}
    statistics = None
    if left.statistics is not None or right.statistics is not None:
        parts = [left.statistics or no_statistics(n_left)]
        parts.append(right.statistics or no_statistics(n_rows - n_left))
        statistics = pa.concat_batches(parts)
    return Outcome(columns, statistics, errors)


def _input(records: pa.RecordBatch, text_field: str) -> pa.RecordBatch:
    """Return what annotators see: the columns of the records, the text under the name `text`."""
    if text_field == "text":
        return records
    return _with_columns(records, {"text": records.column(text_field)})


def _with_columns(batch: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True)) | columns
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _merge_errors(found: pa.Array, errors: dict[int, dict[str, Any]]) -> pa.Array:
    if not errors:
        return found
    merged = found.to_pylist()
    for row, error in errors.items():
        merged[row] = error
    return pa.array(merged, ERROR_TYPE)
