"""transformers' Trainer for heads on one encoder: our batches, our losses, our scores."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from bertpipe.encoder.device import resolve_precision
from bertpipe.encoder.quiet import quiet
from bertpipe.settings import to_seconds
from bertpipe.training.base import plain
from bertpipe.training.batches import TaskBatches, TaskFeatures, collate
from bertpipe.training.callbacks import SCORE, Keeper, Moment, Patience, Watch
from bertpipe.training.loss import amount, class_weights, loss_of
from bertpipe.training.masking import Masker
from bertpipe.training.scoring import main_metric, score
from bertpipe.training.settings import LoopSettings, TrainSettings
from bertpipe.training.tasks import Task
from bertpipe.training.trunk import Trunk, n_parameters

Scores = dict[str, dict[str, dict[str, float]]]  # task -> dev file -> figure
BATCH_TOKENS = {"cpu": 2_048, "cuda": 16_384}
LEARNING_RATES = ((60e6, 5e-5), (200e6, 3e-5), (math.inf, 2e-5))  # below so many parameters
HEAD_LEARNING_RATE = 1e-2
N_LOSSES = 400  # points of the curve, at least half as many


@dataclass(frozen=True)
class Chosen:
    """What a recipe may leave to the model and the device."""

    learning_rate: float
    batch_tokens: int
    precision: str


def choose(loop: LoopSettings, trunk: Trunk) -> Chosen:
    """Fill in what the recipe leaves open.

    Fine-tuning: 5e-5 for small models to 2e-5 for large ones. A head on a frozen encoder is small
    and begins at random values, so it takes larger steps.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    _, n_all = n_parameters(trunk)
    usual = next(rate for size, rate in LEARNING_RATES if n_all < size)
    if loop.freeze_layers == "encoder":
        usual = HEAD_LEARNING_RATE
    return Chosen(
        learning_rate=loop.learning_rate or usual,
        batch_tokens=loop.batch_tokens or BATCH_TOKENS[device],
        precision=resolve_precision(loop.precision, device),
    )


class TaskTrainer(Trainer):
    """A Trainer that takes batches from several tasks and scores each by its own metric."""

    def __init__(
        self,
        *,
        trunk: Trunk,
        tasks: Mapping[str, Task],
        tokenizer: PreTrainedTokenizerBase,
        settings: TrainSettings,
        chosen: Chosen,
        progress: Callable[[Moment], None] | None,
    ) -> None:
        loop = settings.training
        self.trunk, self.tasks, self.task_tokenizer = trunk, tasks, tokenizer
        self.chosen = chosen
        self.budget, self.smoothing = chosen.batch_tokens, loop.label_smoothing
        portions = {name: task.train for name, task in tasks.items()}
        is_masked = any(task.is_masked for task in tasks.values())
        self.features = TaskFeatures(
            portions, mask=Masker(tokenizer, seed=loop.seed) if is_masked else None
        )
        self.batches = TaskBatches(
            portions,
            size=loop.batch_size,
            budget=self.budget,
            seed=loop.seed,
            epochs=math.ceil(loop.epochs),
        )
        super().__init__(
            model=trunk,
            args=arguments(settings, chosen, steps_per_epoch=len(self.batches)),
            train_dataset=self.features,
            eval_dataset=[dev for task in tasks.values() for dev in task.dev.values()],
            callbacks=[
                Keeper(every_s=to_seconds(loop.checkpoint_every, "training.checkpoint_every")),
                Patience(loop.patience),
                Watch(progress),
            ],
        )
        self.remove_callback(PrinterCallback)
        weights = class_weights(tasks, loop)
        self.weights = {name: each.to(self.args.device) for name, each in weights.items()}
        self._started_at = time.monotonic()

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the planned batches."""
        loader = DataLoader(
            self.features,
            batch_sampler=self.batches,
            collate_fn=partial(
                collate, pad_id=self.task_tokenizer.pad_token_id, budget=self.budget
            ),
        )
        return self.accelerator.prepare(loader)

    def get_decay_parameter_names(self, model: torch.nn.Module) -> list[str]:
        """Return the matrices; biases and the weights of layer norms are vectors."""
        return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]

    def training_step(
        self, model: torch.nn.Module, inputs: Mapping[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Add up the gradients of a batch's pieces; return the mean loss of the whole batch."""
        model.train()
        task: str = inputs["task"]
        pieces: Any = self._prepare_inputs({"pieces": inputs["pieces"]})["pieces"]
        weights = self.weights.get(task)
        smoothing = self.smoothing if self.tasks[task].labels else 0.0
        amounts = [amount(piece, weights=weights) for piece in pieces]
        total = torch.zeros((), device=self.args.device)
        for piece, own in zip(pieces, amounts, strict=True):
            if not own:
                continue  # a mean over nothing is no number
            with self.compute_loss_context_manager():
                output = model(task=task, **piece)
                mean = loss_of(output, piece, weights=weights, smoothing=smoothing)
            loss = mean * (own / sum(amounts)).to(mean.device)
            self.accelerator.backward(loss)
            total += loss.detach()
        return total

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score every head; `eval_score` is the mean of the tasks' main figures."""
        scores = score_all(self.trunk, self.tasks, budget=self.budget, bf16=self.args.bf16)
        metrics = {
            f"eval_{task}_{name}_{figure}": value
            for task, files in scores.items()
            for name, figures in files.items()
            for figure, value in figures.items()
        }
        metrics[SCORE] = mean_score(scores, self.tasks)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep figures, with the seconds of training so far, interruptions not counted."""
        now = time.monotonic()
        before = self.state.log_history[-1]["seconds"] if self.state.log_history else 0.0
        seconds = round(before + now - self._started_at, 2)
        self._started_at = now
        super().log({**logs, "seconds": seconds}, start_time)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write each head as a whole model folder, so that a checkpoint is usable as it is."""
        folder = Path(output_dir or str(self.args.output_dir))
        save_models(self.trunk, self.task_tokenizer, {name: folder / name for name in self.tasks})

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        load_models(self.trunk, Path(checkpoint))


def arguments(
    settings: TrainSettings, chosen: Chosen, *, steps_per_epoch: int
) -> TrainingArguments:
    """Translate a recipe into the Trainer's arguments."""
    loop = settings.training
    n_steps = math.ceil(loop.epochs * steps_per_epoch)
    every = max(1, steps_per_epoch // loop.evaluations)
    args = TrainingArguments(
        output_dir=str(settings.output / "checkpoints"),
        num_train_epochs=loop.epochs,
        learning_rate=chosen.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(loop.warmup * n_steps),
        weight_decay=loop.weight_decay,
        max_grad_norm=loop.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=chosen.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        metric_for_best_model="score",
        greater_is_better=True,
        logging_steps=max(1, n_steps // N_LOSSES),
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        seed=loop.seed,
    )
    # With several GPUs the Trainer would cut batches apart, which ours are not made for.
    if args.n_gpu > 1:
        args._n_gpu = 1
    return args


def score_all(trunk: Trunk, tasks: Mapping[str, Task], *, budget: int, bf16: bool) -> Scores:
    """Score every head on its dev files."""
    return {
        name: score(task, trunk.models[name], budget=budget, bf16=bf16)  # type: ignore[arg-type]
        for name, task in tasks.items()
    }


def mean_score(scores: Scores, tasks: Mapping[str, Task]) -> float:
    """Average the main figure over the dev files of a task, then over the tasks."""
    means = [
        sum(figures[main_metric(task.settings)] for figures in scores[name].values())
        / len(scores[name])
        for name, task in tasks.items()
        if scores[name]
    ]
    return sum(means) / len(means)


def save_models(trunk: Trunk, tokenizer: Any, folders: Mapping[str, Path]) -> None:
    """Write each head with its encoder and tokenizer in Hugging Face layout."""
    plain(tokenizer)
    for name, folder in folders.items():
        with quiet():
            trunk.models[name].save_pretrained(folder)  # type: ignore[operator]
        tokenizer.save_pretrained(folder)


def load_models(trunk: Trunk, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into the trunk."""
    from safetensors.torch import load_model

    for name, model in trunk.models.items():
        load_model(model, checkpoint / name / "model.safetensors")
