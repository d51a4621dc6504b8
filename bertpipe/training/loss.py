"""The loss of a batch, piece by piece: classes weighted, labels smoothed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bertpipe.errors import ConfigError
from bertpipe.training.batches import Portion
from bertpipe.training.features import IGNORED, Feature
from bertpipe.training.settings import LoopSettings
from bertpipe.training.tasks import Task


def loss_of(
    output: Any, piece: Mapping[str, Tensor], *, weights: Tensor | None, smoothing: float
) -> Tensor:
    """Return the mean loss of a piece: without weights and smoothing it is the model's own.

    Labels are classes [windows] or [windows, tokens], or numbers [windows, labels], 1.0 for each
    label that the text has. weights: [labels], or None where all count alike; of labels that a text
    may have several of, they are the weights of having one.
    """
    if "start_positions" in piece:
        return answer_loss(output, piece)
    if weights is None and not smoothing:
        return output.loss
    scores, labels = output.logits.float(), piece["labels"]
    if labels.is_floating_point():
        soft = labels * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(scores, soft, pos_weight=weights)
    return F.cross_entropy(
        scores.flatten(0, -2),
        labels.flatten(),
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
    if labels is None or labels.is_floating_point():
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
    if wrong := [label for label, weight in chosen.items() if not fits_weight(weight)]:
        raise ConfigError(
            f"training.class_weights gives {wrong[0]!r} the weight {chosen[wrong[0]]!r}; give a "
            "number above 0."
        )
    return {
        name: torch.tensor([float(chosen.get(label, 1.0)) for label in task.labels])
        for name, task in labelled.items()
    }


def fits_weight(value: Any) -> bool:
    """Tell whether a value can be a weight."""
    return isinstance(value, int | float) and value > 0


def balanced(task: Task) -> Tensor:
    """Return weights [labels] that let each label count alike, however rare it is in training.

    Where a text may have several labels, having a label counts as much as not having it.
    """
    counts = count_labels(task.train)
    fair = [sum(counts.values()) / len(counts)] * len(task.labels)
    if is_set(task.train[0].features[0]):
        n_windows = sum(len(portion.features) * portion.passes for portion in task.train)
        fair = [n_windows - counts[i] for i in range(len(task.labels))]
    return torch.tensor([each / counts[i] if counts[i] else 1.0 for i, each in enumerate(fair)])


def count_labels(portions: Sequence[Portion]) -> Counter[int]:
    """Return how often an epoch reads each label id that occurs."""
    counts: Counter[int] = Counter()
    for portion in portions:
        found = Counter(label for feature in portion.features for label in label_ids(feature))
        counts.update({label: n * portion.passes for label, n in found.items()})
    return counts


def label_ids(feature: Feature) -> Iterator[int]:
    """Yield the label ids of a window: of its class, of its words, or of all its labels."""
    target = feature.target
    if not isinstance(target, list):
        yield target
    elif is_set(feature):
        yield from (i for i, value in enumerate(target) if value)
    else:
        yield from (label for label in target if label != IGNORED)


def is_set(feature: Feature) -> bool:
    """Tell whether a window may have several labels: its target is a number for each."""
    return isinstance(feature.target, list) and isinstance(feature.target[0], float)
