"""The loss of a batch, piece by piece: classes weighted, labels smoothed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bertpipe.errors import ConfigError
from bertpipe.training.batches import Portion
from bertpipe.training.features import IGNORED
from bertpipe.training.settings import LoopSettings
from bertpipe.training.tasks import Task


def loss_of(
    output: Any, piece: Mapping[str, Tensor], *, weights: Tensor | None, smoothing: float
) -> Tensor:
    """Return the mean loss of a piece: without weights and smoothing it is the model's own.

    weights: [labels], or None where labels count alike or there are none.
    """
    if "start_positions" in piece:
        return answer_loss(output, piece)
    if weights is None and not smoothing:
        return output.loss
    return F.cross_entropy(
        output.logits.float().flatten(0, -2),
        piece["labels"].flatten(),
        weight=weights,
        ignore_index=IGNORED,
        label_smoothing=smoothing,
    )


def answer_loss(output: Any, piece: Mapping[str, Tensor]) -> Tensor:
    """Return the mean loss of first and last token, among tokens that are there.

    The model's own loss lets the padding compete, so that it depends on the longest window.
    """
    is_padding = piece["attention_mask"] == 0
    logits = [
        each.float().masked_fill(is_padding, -torch.inf)
        for each in (output.start_logits, output.end_logits)
    ]
    starts = F.cross_entropy(logits[0], piece["start_positions"])
    return (starts + F.cross_entropy(logits[1], piece["end_positions"])) / 2


def amount(piece: Mapping[str, Tensor], *, weights: Tensor | None) -> Tensor:
    """Return how much a piece counts in the mean of its batch: its targets, weighted."""
    labels = piece.get("labels")
    if labels is None:
        return torch.tensor(float(len(piece["input_ids"])))
    counted = labels[labels != IGNORED]
    return torch.tensor(float(len(counted))) if weights is None else weights[counted].sum()


def class_weights(tasks: Mapping[str, Task], settings: LoopSettings) -> dict[str, Tensor]:
    """Return the weights of the labels [labels] of every task that has labels, by task.

    Raises:
        ConfigError: class_weights or label_smoothing is set, but no task has such labels.
    """
    chosen = settings.class_weights
    labelled = {name: task for name, task in tasks.items() if task.labels}
    if (chosen or settings.label_smoothing) and not labelled:
        which = "class_weights" if chosen else "label_smoothing"
        raise ConfigError(f"training.{which} is set, but no task has labels; leave it out.")
    if not chosen:
        return {}
    if chosen == "balanced":
        return {name: balanced(task) for name, task in labelled.items()}
    known = {label for task in labelled.values() for label in task.labels}
    if unknown := sorted(set(chosen) - known):
        raise ConfigError(
            f"training.class_weights has the label {unknown[0]!r}, which no task has; "
            f"use some of {', '.join(sorted(known))}."
        )
    return {
        name: torch.tensor([float(chosen.get(label, 1.0)) for label in task.labels])
        for name, task in labelled.items()
    }


def balanced(task: Task) -> Tensor:
    """Return weights [labels] that let each label count alike, however rare it is in training."""
    counts = count_labels(task.train)
    fair = sum(counts.values()) / len(counts)
    return torch.tensor([fair / counts[i] if i in counts else 1.0 for i in range(len(task.labels))])


def count_labels(portions: Sequence[Portion]) -> Counter[int]:
    """Return how often an epoch reads each label id."""
    counts: Counter[int] = Counter()
    for portion in portions:
        found: Counter[int] = Counter()
        for feature in portion.features:
            found.update(feature.target if isinstance(feature.target, list) else [feature.target])
        counts.update({label: n * portion.passes for label, n in found.items()})
    del counts[IGNORED]
    return counts
