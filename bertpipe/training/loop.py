"""`train`: a recipe in, model folders out; the loop is transformers' Trainer."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from bertpipe.annotators.tags import IOB1
from bertpipe.encoder.opening import window_limit
from bertpipe.errors import ConfigError
from bertpipe.training import checkpoints
from bertpipe.training.base import dropout_settings, load_tokenizer, task_base
from bertpipe.training.callbacks import Moment, is_over
from bertpipe.training.limits import (
    SMALLER_BASE,
    SMALLER_PIECES,
    explaining_disk,
    explaining_memory,
)
from bertpipe.training.settings import LoopSettings, TrainSettings
from bertpipe.training.tasks import Task, load_task, open_model
from bertpipe.training.trainer import (
    Chosen,
    Scores,
    TaskTrainer,
    choose,
    load_models,
    save_models,
    score_all,
)
from bertpipe.training.trunk import Trunk, freeze, freeze_matching, n_parameters

log = logging.getLogger(__name__)
Report = Callable[[str], None]
Progress = Callable[[Moment], None]


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    scores: figures by task and dev file, of the best checkpoint, in float32.
    n_records, n_dev: training and dev records by task and file.
    history: what the Trainer logged, in order of steps.
    best_step: of the best checkpoint. n_learning, n_parameters: how many learned, of how many.
    """

    scores: Scores
    n_records: Mapping[str, Mapping[str, int]]
    n_dev: Mapping[str, Mapping[str, int]]
    history: Sequence[Mapping[str, float]]
    best_step: int
    n_steps: int
    n_learning: int
    n_parameters: int
    chosen: Chosen

    @property
    def seconds(self) -> float:
        """Return how long the training took, evaluations included, interruptions not."""
        return self.history[-1]["seconds"]


def train(
    settings: TrainSettings,
    *,
    resume: bool = False,
    report: Report = log.info,
    progress: Progress | None = None,
) -> Trained:
    """Fine-tune as the recipe says and write the best checkpoint as a model folder.

    The folder is `settings.output`; with several tasks, a folder per task in it. `resume` goes on
    from the last checkpoint there; without it, checkpoints that lie there are removed.

    Raises:
        BertpipeError: Memory or disk do not suffice, or the loss is no number any more.
    """
    set_seed(settings.training.seed)
    with explaining_memory(f"the data and the base {settings.base}", SMALLER_BASE):
        trainer = make_trainer(settings, report=report, progress=progress)
    trunk, tasks, chosen = trainer.trunk, trainer.tasks, trainer.chosen
    pieces = f"{chosen.batch_tokens:,} tokens at once"
    with explaining_disk(settings.output), explaining_memory(pieces, SMALLER_PIECES):
        fit(trainer, patience=settings.training.patience, resume=resume, report=report)
        scores = score_all(trunk, tasks, budget=chosen.batch_tokens, bf16=False)
        save_models(trunk, trainer.task_tokenizer, output_folders(settings))
    n_learning, n_all = n_parameters(trunk)
    return Trained(
        scores=scores,
        n_records={name: task.n_records for name, task in tasks.items()},
        n_dev={
            name: {file: len(dev.records) for file, dev in task.dev.items()}
            for name, task in tasks.items()
        },
        history=trainer.state.log_history,
        best_step=int(trainer.state.best_global_step or 0),
        n_steps=trainer.state.max_steps,
        n_learning=n_learning,
        n_parameters=n_all,
        chosen=chosen,
    )


def make_trainer(
    settings: TrainSettings, *, report: Report, progress: Progress | None
) -> TaskTrainer:
    """Read the data, open the base and put it on the device."""
    loop = settings.training
    bases = {name: task_base(settings.base, name) for name in settings.tasks}
    tokenizer = load_tokenizer(next(iter(bases.values())))
    tasks = load_tasks(settings, tokenizer, report=report)
    trunk = build_trunk(tasks, bases, loop)
    check_windows(tasks, trunk, tokenizer)
    n_learning, n_all = n_parameters(trunk)
    report(f"{n_learning:,} of {n_all:,} parameters learn.")
    return TaskTrainer(
        trunk=trunk,
        tasks=tasks,
        tokenizer=tokenizer,
        settings=settings,
        chosen=choose(loop, trunk),
        progress=progress,
    )


def load_tasks(
    settings: TrainSettings, tokenizer: PreTrainedTokenizerBase, *, report: Report
) -> dict[str, Task]:
    """Read the data of every task and tell how many records there are."""
    seed = settings.training.seed
    tasks = {name: load_task(task, tokenizer, seed=seed) for name, task in settings.tasks.items()}
    for name, task in tasks.items():
        n_dev = sum(len(dev.records) for dev in task.dev.values())
        n_train = sum(task.n_records.values())
        report(f"{name} learns from {n_train:,} records and is scored on {n_dev:,}.")
        if task.tag_scheme == IOB1:
            report(
                f"{name} has tags of IOB1, in which I- begins entities: a run will label words one "
                "by one. With to_iob2 = true in the sections of the files it labels whole texts."
            )
    return tasks


def build_trunk(
    tasks: Mapping[str, Task], bases: Mapping[str, Path], settings: LoopSettings
) -> Trunk:
    """Build one model per task on a common encoder and freeze what shall not learn."""
    opened = {
        name: open_model(task, bases[name], config=dropout_settings(bases[name], settings))
        for name, task in tasks.items()
    }
    models = {name: model for name, (model, _) in opened.items()}
    masked = [name for name, task in tasks.items() if task.is_masked]
    trunk = Trunk(models, masked=masked)
    for model, new in opened.values():
        freeze(model, settings.freeze_layers, new=new)
        freeze_matching(model, settings.freeze_parameters)
    return trunk


def check_windows(
    tasks: Mapping[str, Task], trunk: Trunk, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Raise ConfigError if a window is longer than the base takes."""
    for name, task in tasks.items():
        model: Any = trunk.models[name]
        limit = window_limit(model.config, tokenizer)
        parts = [
            *(each.features for each in task.train),
            *(each.features for each in task.dev.values()),
        ]
        longest = max((len(window.ids) for part in parts for window in part), default=0)
        if longest > limit:
            raise ConfigError(
                f"{name} has windows of {longest} tokens, and the base takes {limit}; set "
                f"--tasks.{name}.max_length {limit}."
            )


def fit(trainer: TaskTrainer, *, patience: int | None, resume: bool, report: Report) -> None:
    """Train from the last checkpoint, or anew, to the end; leave the best weights in the trunk."""
    folder = Path(str(trainer.args.output_dir))
    start = checkpoints.newest(folder) if resume else None
    state = TrainerState() if start is None else read_state(start)
    checkpoints.keep_only(folder, {state.global_step, state.best_global_step or 0})
    if start is not None:
        report(f"Going on from step {state.global_step:,} of {state.max_steps:,}.")
    if start is not None and is_over(state, patience=patience):
        trainer.state = state
    else:
        trainer.train(resume_from_checkpoint=None if start is None else str(start))
    best = checkpoints.path_of(folder, int(trainer.state.best_global_step or 0))
    load_models(trainer.trunk, best)


def read_state(checkpoint: Path) -> TrainerState:
    """Return what the Trainer knew when it wrote a checkpoint."""
    return TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))


def output_folders(settings: TrainSettings) -> dict[str, Path]:
    """Return the model folder of each task."""
    if len(settings.tasks) == 1:
        return dict.fromkeys(settings.tasks, settings.output)
    return {name: settings.output / name for name in settings.tasks}
