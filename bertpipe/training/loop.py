"""`train`: a recipe in, model folders out; the loop is transformers' Trainer."""

import logging
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed

from bertpipe.errors import ConfigError
from bertpipe.training.base import load_tokenizer, plain, quiet, task_base
from bertpipe.training.batches import TaskBatches, TaskFeatures, collate
from bertpipe.training.scoring import MAIN_METRIC, score
from bertpipe.training.settings import LoopSettings, TrainSettings
from bertpipe.training.tasks import Task, build_model, load_task
from bertpipe.training.trunk import Trunk, freeze, n_parameters

log = logging.getLogger(__name__)
Scores = dict[str, dict[str, dict[str, float]]]  # task -> dev file -> figure
EVALUATION_TOKENS = 4096


@dataclass(frozen=True)
class Trained:
    """What a training gave: figures by task and dev file, training records by task and file."""

    scores: Scores
    n_records: Mapping[str, Mapping[str, int]]


class TaskTrainer(Trainer):
    """A Trainer that takes batches from several tasks and scores each by its own metric."""

    def __init__(
        self,
        *,
        trunk: Trunk,
        tasks: Mapping[str, Task],
        batches: TaskBatches,
        tokenizer: PreTrainedTokenizerBase,
        args: TrainingArguments,
    ) -> None:
        self.trunk, self.tasks = trunk, tasks
        self.batches, self.tokenizer = batches, tokenizer
        self.features = TaskFeatures({name: task.train for name, task in tasks.items()})
        super().__init__(
            model=trunk,
            args=args,
            train_dataset=self.features,
            eval_dataset=[dev for task in tasks.values() for dev in task.dev.values()],
        )

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the planned batches."""
        loader = DataLoader(
            self.features,
            batch_sampler=self.batches,
            collate_fn=partial(collate, pad_id=self.tokenizer.pad_token_id),
        )
        return self.accelerator.prepare(loader)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score every head; `eval_score` is the mean of the tasks' main figures."""
        scores = score_all(self.trunk, self.tasks, bf16=self.args.bf16)
        metrics = {
            f"eval_{task}_{name}_{figure}": value
            for task, files in scores.items()
            for name, figures in files.items()
            for figure, value in figures.items()
        }
        metrics["eval_score"] = mean_score(scores, self.tasks)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write each head as a whole model folder, so that a checkpoint is usable as it is."""
        folder = Path(output_dir or str(self.args.output_dir))
        save_models(self.trunk, self.tokenizer, {name: folder / name for name in self.tasks})

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        load_models(self.trunk, Path(checkpoint))

    def _load_best_model(self) -> None:
        load_models(self.trunk, Path(str(self.state.best_model_checkpoint)))


def train(
    settings: TrainSettings, *, resume: bool = False, report: Callable[[str], None] = log.info
) -> Trained:
    """Fine-tune as the recipe says; return the scores of the best checkpoint, in float32.

    `report` is told how many parameters learn. The model folder is `settings.output`; with several
    tasks, a folder per task in it.
    """
    set_seed(settings.training.seed)
    bases = {name: task_base(settings.base, name) for name in settings.tasks}
    tokenizer = load_tokenizer(next(iter(bases.values())))
    tasks = {
        name: load_task(task, tokenizer, seed=settings.training.seed)
        for name, task in settings.tasks.items()
    }
    trunk = build_trunk(tasks, bases, settings.training)
    report("{:,} of {:,} parameters learn.".format(*n_parameters(trunk)))
    trainer = build_trainer(trunk, tasks, tokenizer, settings)
    trainer.train(resume_from_checkpoint=resume or None)
    scores = score_all(trunk, tasks, bf16=False)
    save_models(trunk, tokenizer, output_folders(settings))
    return Trained(scores, {name: task.n_records for name, task in tasks.items()})


def build_trunk(
    tasks: Mapping[str, Task], bases: Mapping[str, Path], settings: LoopSettings
) -> Trunk:
    """Build one model per task on a common encoder and freeze what shall not learn."""
    config = {
        "hidden_dropout_prob": settings.dropout,
        "attention_probs_dropout_prob": settings.attention_dropout,
    }
    given = {name: value for name, value in config.items() if value is not None}
    models = {name: build_model(task, bases[name], config=given) for name, task in tasks.items()}
    trunk = Trunk(models)
    for model in models.values():
        freeze(model, settings.freeze_layers)
    return trunk


def build_trainer(
    trunk: Trunk,
    tasks: Mapping[str, Task],
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
) -> TaskTrainer:
    """Plan the batches and give them, with the schedule, to a Trainer."""
    loop = settings.training
    portions = {name: task.train for name, task in tasks.items()}
    batches = TaskBatches(
        portions, budget=loop.batch_tokens, seed=loop.seed, epochs=math.ceil(loop.epochs)
    )
    steps_per_epoch = math.ceil(len(batches) / loop.accumulate)
    return TaskTrainer(
        trunk=trunk,
        tasks=tasks,
        batches=batches,
        tokenizer=tokenizer,
        args=arguments(settings, steps_per_epoch=steps_per_epoch),
    )


def arguments(settings: TrainSettings, *, steps_per_epoch: int) -> TrainingArguments:
    """Translate a recipe into the Trainer's arguments."""
    loop = settings.training
    every = max(1, steps_per_epoch // loop.evaluations)
    return TrainingArguments(
        output_dir=str(settings.output / "checkpoints"),
        num_train_epochs=loop.epochs,
        gradient_accumulation_steps=loop.accumulate,
        learning_rate=loop.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(loop.warmup * loop.epochs * steps_per_epoch),
        weight_decay=loop.weight_decay,
        max_grad_norm=loop.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=use_bf16(loop.precision),
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        greater_is_better=True,
        logging_steps=max(1, min(50, steps_per_epoch // 10)),
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=not sys.stderr.isatty(),
        seed=loop.seed,
    )


def use_bf16(precision: str) -> bool:
    """Say whether to compute in bf16: as asked, or where the hardware has it."""
    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported()


def score_all(trunk: Trunk, tasks: Mapping[str, Task], *, bf16: bool) -> Scores:
    """Score every head on its dev files."""
    return {
        name: score(task, trunk.models[name], budget=EVALUATION_TOKENS, bf16=bf16)  # type: ignore[arg-type]
        for name, task in tasks.items()
    }


def mean_score(scores: Scores, tasks: Mapping[str, Task]) -> float:
    """Average the main figure over the dev files of a task, then over the tasks."""
    means = [
        sum(figures[MAIN_METRIC[task.settings.kind]] for figures in scores[name].values())
        / len(scores[name])
        for name, task in tasks.items()
        if scores[name]
    ]
    if not means:
        raise ConfigError("No task has a dev file: add a [tasks.NAME.dev.FILE] section.")
    return sum(means) / len(means)


def output_folders(settings: TrainSettings) -> dict[str, Path]:
    """Return the model folder of each task."""
    if len(settings.tasks) == 1:
        return dict.fromkeys(settings.tasks, settings.output)
    return {name: settings.output / name for name in settings.tasks}


def save_models(trunk: Trunk, tokenizer: Any, folders: Mapping[str, Path]) -> None:
    """Write each head with its encoder and tokenizer in Hugging Face layout."""
    plain(tokenizer)
    for name, folder in folders.items():
        with quiet():
            trunk.models[name].save_pretrained(folder)  # type: ignore[operator]
        tokenizer.save_pretrained(folder)


def load_models(trunk: Trunk, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into the trunk."""
    from safetensors.torch import load_file

    for name, model in trunk.models.items():
        model.load_state_dict(load_file(checkpoint / name / "model.safetensors"), strict=True)
