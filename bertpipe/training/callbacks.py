"""What happens besides the steps of a training: checkpoints, early stopping, progress."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bertpipe.errors import BertpipeError
from bertpipe.training import checkpoints

SCORE = "eval_score"  # the figure that chooses the best checkpoint


@dataclass(frozen=True)
class Moment:
    """A moment of a training.

    loss: mean of the last steps. score: of the last evaluation. Both None before there is one.
    is_evaluated: the score is of this moment.
    """

    step: int
    n_steps: int
    loss: float | None = None
    score: float | None = None
    is_evaluated: bool = False


class Keeper(TrainerCallback):
    """Makes a checkpoint every so many seconds, and keeps the last one and the best."""

    def __init__(self, *, every_s: float) -> None:
        self._every_s, self._saved_at = every_s, time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask for what is due; the mean loss is logged then too: a checkpoint starts it anew."""
        control.should_evaluate |= state.global_step >= state.max_steps
        control.should_save |= time.monotonic() - self._saved_at >= self._every_s
        control.should_log |= control.should_save or control.should_evaluate

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Seal the checkpoint that was written and remove older ones."""
        folder = Path(str(args.output_dir))
        checkpoints.seal(checkpoints.path_of(folder, state.global_step))
        checkpoints.keep_only(folder, {state.global_step, state.best_global_step or 0})
        self._saved_at = time.monotonic()


class Patience(TrainerCallback):
    """Ends a training whose score has stopped getting better."""

    def __init__(self, evaluations: int | None) -> None:
        self._evaluations = evaluations

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop when so many evaluations in a row were no better than the best."""
        control.should_training_stop |= is_out_of_patience(state.log_history, self._evaluations)


class Watch(TrainerCallback):
    """Tells each moment, and ends a training whose loss is no number any more."""

    def __init__(self, progress: Callable[[Moment], None] | None) -> None:
        self._progress = progress
        self._loss: float | None = None
        self._score: float | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Tell where the training begins, or goes on: then loss and score are known."""
        for entry in state.log_history:
            self._loss = entry.get("loss", self._loss)
            self._score = entry.get(SCORE, self._score)
        self._tell(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Tell that a step is done."""
        self._tell(state)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Take note of the mean loss."""
        self._loss = given["logs"].get("loss", self._loss)
        if self._loss is not None and not math.isfinite(self._loss):
            raise BertpipeError(
                f"The loss is {self._loss} at step {state.global_step}: the training has diverged;"
                " lower training.learning_rate."
            )

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Tell the score."""
        self._score = given["metrics"][SCORE]
        self._tell(state, is_evaluated=True)

    def _tell(self, state: TrainerState, *, is_evaluated: bool = False) -> None:
        if self._progress is not None:
            self._progress(
                Moment(state.global_step, state.max_steps, self._loss, self._score, is_evaluated)
            )


def is_out_of_patience(history: Sequence[Mapping[str, float]], evaluations: int | None) -> bool:
    """Tell whether the best score is at least so many evaluations old."""
    scores = [entry[SCORE] for entry in history if SCORE in entry]
    if evaluations is None or not scores:
        return False
    return len(scores) - 1 - scores.index(max(scores)) >= evaluations


def is_over(state: TrainerState, *, patience: int | None) -> bool:
    """Tell whether nothing is left to train."""
    return state.global_step >= state.max_steps or is_out_of_patience(state.log_history, patience)
